package api

import (
	"math"
	"strconv"
	"strings"
)

// numberText returns a JSON number as the text that Django REST framework makes of it: a whole number as it is written, any
// other as Python prints it.
func numberText(literal string) string {
	value, err := strconv.ParseFloat(literal, 64)
	if err != nil || !strings.ContainsAny(literal, ".eE") {
		return literal
	}
	if size := math.Abs(value); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(value, 'e', -1, 64)
	}
	text := strconv.FormatFloat(value, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
