package materialize

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hextide/hextide/stream"
)

// ManifestName is the file that makes a folder a snapshot; it is written last.
const ManifestName = "_MANIFEST.json"

// ManifestVersion is the version of the snapshot format that this code writes.
const ManifestVersion = 1

// Manifest says what a snapshot is, where it came from and what is in it.
type Manifest struct {
	Version     int                   `json:"version"`
	Pipeline    string                `json:"pipeline"`
	PlanHash    string                `json:"plan_hash"`
	Definition  string                `json:"definition"`
	Code        Code                  `json:"code"`
	Source      any                   `json:"source"`
	Limit       string                `json:"not_after"` // RFC 3339: later event times were dead letters
	Range       [2]string             `json:"range"`     // --from, --to; empty: open
	Control     []stream.ControlEntry `json:"control_log"`
	Frontier    Frontier              `json:"frontier"`
	Counts      stream.Counts         `json:"counts"`
	Columns     []ManifestColumn      `json:"columns"`
	Parts       []Part                `json:"files"`
	ContentHash string                `json:"content_hash"`
}

// Code is what computed the snapshot.
type Code struct {
	Version      string `json:"version"`
	Go           string `json:"go"`
	TimeZoneData string `json:"time_zone_data"`
}

// Frontier is how far the snapshot's event time is complete, RFC 3339.
type Frontier struct {
	Provisional string `json:"provisional"`
	Final       string `json:"final"`
}

// ManifestColumn is one of the definition's columns.
type ManifestColumn struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // int64 | float64
}

// Part is one Parquet file of a snapshot.
type Part struct {
	Path   string `json:"path"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	First  int64  `json:"first_window_end_us"`
	Last   int64  `json:"last_window_end_us"`
}

// NoFiles tells whether the snapshot's rows were hashed and not written.
func (m *Manifest) NoFiles() bool { return len(m.Parts) == 0 && m.Counts.Rows > 0 }

// Check refuses a folder in which a file of the snapshot is missing or has
// another size.
func (m *Manifest) Check(dir string) error { return present(dir, m.Parts) }

// present refuses a folder in which a file is missing or has another size.
func present(dir string, parts []Part) error {
	for _, p := range parts {
		path := filepath.Join(dir, filepath.FromSlash(p.Path))
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%s is missing, which was written before: begin again in an empty folder", path)
		case err != nil:
			return fmt.Errorf("looking at a file that was written before: %w", err)
		case info.Size() != p.Bytes:
			return fmt.Errorf("%s has %d bytes, not the %d that were written: begin again in an empty folder", path, info.Size(), p.Bytes)
		}
	}
	return nil
}

// ErrNoSnapshot is returned for a folder without a manifest.
var ErrNoSnapshot = errors.New("no snapshot")

// ReadManifest reads the manifest of a snapshot's folder.
func ReadManifest(dir string) (*Manifest, error) {
	content, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s holds %w: it has no %s (a backfill that has not finished goes on with --resume)", dir, ErrNoSnapshot, ManifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of %s: %w", dir, err)
	}
	m := &Manifest{}
	if err := json.Unmarshal(content, m); err != nil {
		return nil, fmt.Errorf("the manifest of %s is damaged: %w", dir, err)
	}
	if m.Version != ManifestVersion {
		return nil, fmt.Errorf("the snapshot %s has format version %d; this program reads version %d", dir, m.Version, ManifestVersion)
	}
	return m, nil
}

// writeManifest makes the manifest durable as a whole.
func writeManifest(dir string, m *Manifest) error {
	content, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, ManifestName+".temp")
	out, err := os.Create(temp)
	if err != nil {
		return err
	}
	_, err = out.Write(append(content, '\n'))
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, ManifestName)); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncFolders makes the entries of a folder below dir, and of those between, durable.
func syncFolders(dir, folder string) error {
	for ; folder != "."; folder = filepath.Dir(folder) {
		if err := syncDir(filepath.Join(dir, folder)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
