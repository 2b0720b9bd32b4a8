package ingest

// parseRFC3339 reads a time as RFC 3339 has it (section 5.6, with the space and
// the small letters that its notes allow) in µs since 1970; finer fractions are
// rounded half to even. Leap seconds are refused: unix time has none.
func parseRFC3339(text []byte) (int64, bool) {
	if len(text) < len("2006-01-02T15:04:05Z") || text[4] != '-' || text[7] != '-' ||
		text[10]|0x20 != 't' && text[10] != ' ' || text[13] != ':' || text[16] != ':' {
		return 0, false
	}
	year, ok1 := digits(text[0:4])
	month, ok2 := digits(text[5:7])
	day, ok3 := digits(text[8:10])
	hour, ok4 := digits(text[11:13])
	minute, ok5 := digits(text[14:16])
	second, ok6 := digits(text[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || month < 1 || month > 12 ||
		day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	rest := text[19:]
	micros := int64(0)
	if rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n == 1 {
			return 0, false
		}
		micros = fraction(rest[1:n])
		rest = rest[n:]
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	seconds := daysFromCivil(year, month, day)*86400 + hour*3600 + minute*60 + second - offset
	return seconds*1e6 + micros, true
}

// digits reads a text of nothing but decimal digits.
func digits(text []byte) (int64, bool) {
	n := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// fraction is the digits behind a second's point in µs, rounded half to even.
func fraction(text []byte) int64 {
	n := int64(0)
	for i := range 6 {
		n *= 10
		if i < len(text) {
			n += int64(text[i] - '0')
		}
	}
	if len(text) <= 6 || text[6] < '5' {
		return n
	}
	half := text[6] == '5'
	for _, c := range text[7:] {
		half = half && c == '0'
	}
	if !half || n&1 == 1 {
		n++
	}
	return n
}

// zone reads Z or ±hh:mm to the end of the text, in seconds east of Greenwich.
func zone(text []byte) (int64, bool) {
	if len(text) == 1 && text[0]|0x20 == 'z' {
		return 0, true
	}
	if len(text) != len("+00:00") || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	hours, ok1 := digits(text[1:3])
	minutes, ok2 := digits(text[4:6])
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	offset := hours*3600 + minutes*60
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// daysIn is the number of days of a month of the Gregorian calendar.
func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysFromCivil is the number of days from 1970-01-01 to a day of the Gregorian
// calendar. Years are counted from March, so that the leap day is the last one;
// 146,097 days are 400 years.
func daysFromCivil(year, month, day int64) int64 {
	if month <= 2 {
		year--
	}
	year += 400 // not negative, so that divisions round down; taken off again below
	era := year / 400
	yearOfEra := year - era*400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146097 + dayOfEra - 719468 - 146097
}
