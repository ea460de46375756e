package web

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// qrMargin is the width of the empty space around a QR code, in modules; the standard asks for four.
const qrMargin = 4

// qrCode is a QR code to be drawn as an SVG.
type qrCode struct {
	Size int    // of the drawing, in modules, the margin included
	Path string // of the dark modules
}

// newQRCode returns the QR code of a text, of which 15 % can be damaged. It returns an error where the text is too long.
func newQRCode(text string) (*qrCode, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("web: the QR code: %w", err)
	}
	size := code.Bounds().Dx()
	isDark := func(x, y int) bool { return x < size && code.At(x, y) == color.Black }
	var path strings.Builder
	for y := range size {
		for x := 0; x < size; x++ {
			start := x
			for isDark(x, y) {
				x++
			}
			if run := x - start; run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", start+qrMargin, y+qrMargin, run, run)
			}
		}
	}
	return &qrCode{size + 2*qrMargin, path.String()}, nil
}
