package ingest

import (
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may lie in each other: what
// encoding/json takes.
const maxDepth = 10000

// skipSpace is the first place from at on that is no white space.
func skipSpace(data []byte, at int) int {
	for at < len(data) && (data[at] == ' ' || data[at] == '\t' || data[at] == '\n' || data[at] == '\r') {
		at++
	}
	return at
}

// scanString reads the string whose opening quote is at at and returns the place
// behind its closing one; -1: it is no string. escaped: it holds a backslash.
func scanString(data []byte, at int) (end int, escaped bool) {
	for at++; at < len(data); at++ {
		switch c := data[at]; {
		case c == '"':
			return at + 1, escaped
		case c < ' ':
			return -1, false
		case c == '\\':
			escaped = true
			at++
			if at == len(data) {
				return -1, false
			}
			switch data[at] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(data, at+1); !ok {
					return -1, false
				}
				at += 4
			default:
				return -1, false
			}
		}
	}
	return -1, false
}

// hex4 reads four hexadecimal digits.
func hex4(data []byte, at int) (rune, bool) {
	if at+4 > len(data) {
		return 0, false
	}
	var r rune
	for _, c := range data[at : at+4] {
		digit, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}

// unescape appends the text of a string's inside, which scanString has checked.
// Halves of surrogate pairs on their own become U+FFFD, as in encoding/json.
func unescape(to, text []byte) []byte {
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' {
			to = append(to, text[at])
			continue
		}
		at++
		switch text[at] {
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			r, _ := hex4(text, at+1)
			at += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if at+2 < len(text) && text[at+1] == '\\' && text[at+2] == 'u' {
					low, _ = hex4(text, at+3)
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					at += 6
				}
			}
			to = utf8.AppendRune(to, r)
		default:
			to = append(to, text[at])
		}
	}
	return to
}

// scanNumber returns the place behind the number at at; -1: it is none.
func scanNumber(data []byte, at int) int {
	if at < len(data) && data[at] == '-' {
		at++
	}
	switch {
	case at == len(data):
		return -1
	case data[at] == '0':
		at++
	default:
		if at = scanDigits(data, at); at < 0 {
			return -1
		}
	}
	if at < len(data) && data[at] == '.' {
		if at = scanDigits(data, at+1); at < 0 {
			return -1
		}
	}
	if at < len(data) && data[at]|0x20 == 'e' {
		at++
		if at < len(data) && (data[at] == '+' || data[at] == '-') {
			at++
		}
		return scanDigits(data, at)
	}
	return at
}

// scanDigits returns the place behind one or more digits; -1: there are none.
func scanDigits(data []byte, at int) int {
	start := at
	for at < len(data) && data[at] >= '0' && data[at] <= '9' {
		at++
	}
	if at == start {
		return -1
	}
	return at
}

// scanLiteral returns the place behind a literal; -1: it is not there.
func scanLiteral(data []byte, at int, literal string) int {
	if end := at + len(literal); end <= len(data) && string(data[at:end]) == literal {
		return end
	}
	return -1
}

// scanValue returns the place behind the value at at, checking all of it; -1: it
// is none. depth is how many arrays and objects are open.
func scanValue(data []byte, at, depth int) int {
	if at == len(data) {
		return -1
	}
	switch data[at] {
	case '"':
		end, _ := scanString(data, at)
		return end
	case 't':
		return scanLiteral(data, at, "true")
	case 'f':
		return scanLiteral(data, at, "false")
	case 'n':
		return scanLiteral(data, at, "null")
	case '{', '[':
		return scanComposite(data, at, depth+1)
	}
	return scanNumber(data, at)
}

// scanComposite is scanValue for an object or array.
func scanComposite(data []byte, at, depth int) int {
	if depth > maxDepth {
		return -1
	}
	object, closer := data[at] == '{', data[at]+2 // '}' and ']' are two behind their openers
	at = skipSpace(data, at+1)
	if at < len(data) && data[at] == closer {
		return at + 1
	}
	for {
		if object {
			if at = scanKey(data, at); at < 0 {
				return -1
			}
		}
		if at = scanValue(data, at, depth); at < 0 {
			return -1
		}
		at = skipSpace(data, at)
		switch {
		case at == len(data):
			return -1
		case data[at] == closer:
			return at + 1
		case data[at] != ',':
			return -1
		}
		at = skipSpace(data, at+1)
	}
}

// scanKey returns where the value of the member at at starts; -1: it is none.
func scanKey(data []byte, at int) int {
	if at == len(data) || data[at] != '"' {
		return -1
	}
	end, _ := scanString(data, at)
	if end < 0 {
		return -1
	}
	at = skipSpace(data, end)
	if at == len(data) || data[at] != ':' {
		return -1
	}
	return skipSpace(data, at+1)
}
