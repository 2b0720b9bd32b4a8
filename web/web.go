// Package web holds the page that the binary serves: the bundle in dist/, built
// from src/ by `npm run build`. It needs nothing from anywhere else, no tile
// server among it.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed dist
var files embed.FS

// Handler serves the page.
func Handler() (http.Handler, error) {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		return nil, err
	}
	return http.FileServerFS(dist), nil
}
