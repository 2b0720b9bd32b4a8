package aggregate

// minOp is the least value of a field: int64 for integers and booleans, float64
// for floats and decimals; null where no event counts.
var minOp = op{needsField: true, check: ordered, build: extremumOf(Min)}
