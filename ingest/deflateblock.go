package ingest

// What the symbols of the literals and lengths, and of the distances, are.
var (
	literalMeaning  = meaningOfLiterals()
	distanceMeaning = meaningOfDistances()
	lengthMeaning   = meaningOfLengths()
)

func meaningOfLiterals() []uint32 {
	meaning := make([]uint32, 288)
	for i := range 256 {
		meaning[i] = literalFlag | uint32(i)<<valueShift
	}
	meaning[256] = specialFlag | 1<<valueShift
	base := 3
	for i := 257; i < 285; i++ {
		extra := max(0, (i-261)/4)
		meaning[i] = uint32(extra)<<extraShift | uint32(base)<<valueShift
		base += 1 << extra
	}
	meaning[285] = 258 << valueShift
	meaning[286], meaning[287] = badCode, badCode
	return meaning
}

func meaningOfDistances() []uint32 {
	meaning := make([]uint32, 32)
	base := 1
	for i := range 30 {
		extra := max(0, (i-2)/2)
		meaning[i] = uint32(extra)<<extraShift | uint32(base)<<valueShift
		base += 1 << extra
	}
	meaning[30], meaning[31] = badCode, badCode
	return meaning
}

func meaningOfLengths() []uint32 {
	meaning := make([]uint32, 19)
	for i := range meaning {
		meaning[i] = uint32(i) << valueShift
	}
	return meaning
}

// header reads what a block begins with.
func (d *deflate) header() error {
	kind, err := d.take(3)
	if err != nil {
		return err
	}
	d.last = kind&1 == 1
	switch kind >> 1 {
	case 0:
		return d.stored()
	case 1:
		var lengths [288]uint8
		for i := range lengths {
			switch {
			case i < 144:
				lengths[i] = 8
			case i < 256:
				lengths[i] = 9
			case i < 280:
				lengths[i] = 7
			default:
				lengths[i] = 8
			}
		}
		d.literals.build(lengths[:], literalMeaning, literalBits)
		for i := range 32 {
			lengths[i] = 5
		}
		d.distances.build(lengths[:32], distanceMeaning, distanceBits)
		d.state = inCodes
		return nil
	case 2:
		return d.dynamic()
	}
	return errDamaged
}

// take takes the next bits, 16 at most.
func (d *deflate) take(n uint) (uint, error) {
	for d.count < n {
		if err := d.takeByte(); err != nil {
			return 0, err
		}
	}
	value := uint(d.bits & (1<<n - 1))
	d.bits >>= n
	d.count -= n
	return value, nil
}

// takeByte puts one more byte behind the bits that are not used.
func (d *deflate) takeByte() error {
	b, err := d.from.ReadByte()
	if err == nil {
		d.bits |= uint64(b) << d.count
		d.count += 8
	}
	return err
}

// stored reads the length of a stored block.
func (d *deflate) stored() error {
	if _, err := d.take(d.count & 7); err != nil {
		return err
	}
	n, err := d.take(16)
	if err != nil {
		return err
	}
	not, err := d.take(16)
	if err != nil {
		return err
	}
	if n^not != 0xffff {
		return errDamaged
	}
	if d.left = int(n); n > 0 {
		d.state = inStored
	}
	return nil
}

// dynamic reads the codes of a block.
func (d *deflate) dynamic() error {
	sizes, err := d.take(14)
	if err != nil {
		return err
	}
	literals, distances, codes := int(sizes&31)+257, int(sizes>>5&31)+1, int(sizes>>10)+4
	if literals > 286 || distances > 30 {
		return errDamaged
	}
	var lengths [286 + 30]uint8
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:codes] {
		n, err := d.take(3)
		if err != nil {
			return err
		}
		lengths[symbol] = uint8(n)
	}
	var code huffman
	if !code.build(lengths[:19], lengthMeaning, 7) {
		return errDamaged
	}
	clear(lengths[:])
	for i := 0; i < literals+distances; {
		symbol, err := d.symbol(&code)
		if err != nil {
			return err
		}
		if symbol < 16 {
			lengths[i] = uint8(symbol)
			i++
			continue
		}
		repeat := [3]struct{ bits, least uint }{{2, 3}, {3, 3}, {7, 11}}[symbol-16]
		more, err := d.take(repeat.bits)
		if err != nil {
			return err
		}
		n := int(repeat.least + more)
		if i+n > literals+distances || symbol == 16 && i == 0 {
			return errDamaged
		}
		for range n {
			if symbol == 16 {
				lengths[i] = lengths[i-1]
			}
			i++
		}
	}
	if !d.literals.build(lengths[:literals], literalMeaning, literalBits) || !d.distances.build(lengths[literals:literals+distances], distanceMeaning, distanceBits) {
		return errDamaged
	}
	d.state = inCodes
	return nil
}

// symbol reads one symbol of a code of 7 bits at most.
func (d *deflate) symbol(code *huffman) (uint, error) {
	for {
		entry := code.entries[d.bits&127]
		if entry == badCode {
			return 0, errDamaged
		}
		if n := uint(entry & 0xff); n <= d.count {
			d.bits >>= n
			d.count -= n
			return uint(entry >> valueShift), nil
		}
		if err := d.takeByte(); err != nil {
			return 0, err
		}
	}
}
