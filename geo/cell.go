package geo

// Cell is an H3 index (https://h3geo.org): 64 bits, mode 1. The zero value is no cell.
type Cell uint64
