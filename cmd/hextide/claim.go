package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// outName is the file of a state folder that names the snapshot's folder which
// the state belongs to. It is written before anything is in that folder, so that
// a run that was killed before its first checkpoint finds its own again.
const outName = "out"

// claimOut makes the folder of a run's snapshot its own, or refuses one that is
// not: rows of another run, or of before this folder was asked for, are no part
// of what the state knows.
func claimOut(state, out string, hasState bool) error {
	path, err := filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("the folder %s: %w", out, err)
	}
	entries, err := os.ReadDir(out)
	gone := errors.Is(err, os.ErrNotExist)
	if err != nil && !gone {
		return fmt.Errorf("looking at %s: %w", out, err)
	}
	owned, err := os.ReadFile(filepath.Join(state, outName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading which snapshot the state %s belongs to: %w", state, err)
	}
	own := string(owned) == path
	switch {
	case own && hasState && gone:
		return usagef("the snapshot %s of the state %s has gone: begin again with an empty state folder", out, state)
	case !own && hasState:
		return usagef("the run of the state %s did not write to %s from its beginning: a snapshot there would lack rows", state, out)
	case !own && len(entries) > 0:
		return usagef("%s is not empty, and the state folder %s knows of no snapshot there", out, state)
	case own && !gone:
		return nil
	}
	if err := writeDurable(filepath.Join(state, outName), []byte(path)); err != nil {
		return fmt.Errorf("noting which snapshot the state %s belongs to: %w", state, err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("making the folder %s: %w", out, err)
	}
	return nil
}

// writeDurable makes a small file, whole or not at all, in a folder that is there.
func writeDurable(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // nothing is left of it where it was renamed
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
