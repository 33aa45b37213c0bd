package aeonnx

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable is a text for a terminal, on one line: what is not seen, such as control characters, is
// written as \xNN or \uNNNN.
func Printable(text string) string {
	var line strings.Builder
	for at, size := 0, 0; at < len(text); at += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[at:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&line, `\x%02x`, text[at])
		case unicode.IsGraphic(r):
			line.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&line, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&line, `\u%04x`, r)
		default:
			fmt.Fprintf(&line, `\U%08x`, r)
		}
	}
	return line.String()
}
