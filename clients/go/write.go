package aeonnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Writable says whether a file can be written, before anything is done for it: a new one, an existing
// one if it may be replaced, or a device or pipe. The error is one line to show.
func Writable(path string, replace bool) error {
	_, _, err := place(path, replace)
	return err
}

// WriteFile writes bytes to a file, whole or not at all. A file that exists is replaced only if that is
// asked for; see Writable.
func WriteFile(path string, data []byte, replace bool) error {
	return writeFile(path, replace, func(to io.Writer) error { _, err := to.Write(data); return err })
}

// writeFile writes a file whole or not at all: beside it first, then renamed. What is a device or a
// pipe is written through, never replaced.
func writeFile(path string, replace bool, write func(io.Writer) error) error {
	target, info, err := place(path, replace)
	if err != nil {
		return err
	}
	if info != nil && !info.Mode().IsRegular() {
		err = through(path, write)
	} else {
		err = beside(target, info, write)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, reason(err))
	}
	return nil
}

// place is where a file is, links followed, and what is there; nil if there is nothing.
func place(path string, replace bool) (target string, info fs.FileInfo, err error) {
	info, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		info = nil
	case err != nil:
		return "", nil, fmt.Errorf("cannot write %s: %w", path, reason(err))
	case info.IsDir():
		return "", nil, fmt.Errorf("cannot write %s: it is a folder", path)
	case !info.Mode().IsRegular():
		return path, info, nil
	case !replace:
		return "", nil, fmt.Errorf("%s exists already: pass --force to replace it, or name another", path)
	}
	target = path
	for range 40 { // as many links as Linux follows
		link, err := os.Readlink(target)
		if err != nil {
			break // it is none
		}
		if !filepath.IsAbs(link) {
			folder, _ := filepath.Split(target) // filepath.Join would take ".." out, links or not
			link = folder + link
		}
		target = link
	}
	return target, info, nil
}

func through(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := write(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// beside writes a hidden file, which is the target once all of it is on the disk. It keeps the mode
// of the one that it replaces.
func beside(target string, replaced fs.FileInfo, write func(io.Writer) error) error {
	folder, name := filepath.Split(target)
	part := fmt.Sprintf("%s.%s.%08x.part", folder, name, rand.Uint32())
	mode := fs.FileMode(0o666)
	if replaced != nil {
		mode = 0o600
	}
	// O_EXCL follows no link either.
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = write(file)
	if err == nil && replaced != nil {
		err = file.Chmod(replaced.Mode().Perm())
	}
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(part, target)
	}
	if err != nil {
		os.Remove(part)
	}
	return err
}
