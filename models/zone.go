package models

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"time"
)

// TimeZoneData is the version of the IANA time-zone database that the slots of
// the models' clocks come from. It is part of the binary: what the machine has
// installed is never asked, since two machines may differ in it.
const TimeZoneData = "2025c"

// zoneArchive is the database as the Go distribution packs it (lib/time/zoneinfo.zip,
// public domain): one uncompressed file a zone.
//
//go:embed zoneinfo.zip
var zoneArchive []byte

// ErrTimeZone says that a name is no zone of the IANA database.
var ErrTimeZone = errors.New("unknown time zone")

// loadZone finds a zone by its IANA name; "" is UTC.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	archive, err := zip.NewReader(bytes.NewReader(zoneArchive), int64(len(zoneArchive)))
	if err != nil {
		return nil, fmt.Errorf("reading the time-zone database: %w", err)
	}
	for _, entry := range archive.File {
		if entry.Name != name || entry.FileInfo().IsDir() {
			continue
		}
		data, err := readEntry(entry)
		if err != nil {
			return nil, fmt.Errorf("reading time zone %s: %w", name, err)
		}
		return time.LoadLocationFromTZData(name, data)
	}
	return nil, fmt.Errorf("%w %q: want an IANA name such as Europe/Berlin", ErrTimeZone, name)
}

func readEntry(entry *zip.File) ([]byte, error) {
	file, err := entry.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}
