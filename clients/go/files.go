package aeonnx

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	maxManifest = 1 << 24 // bytes of manifest.json
	maxPicture  = 1 << 30 // bytes of a picture's file
	maxBytes    = 1 << 31 // bytes of a graph or an array; more is a mistake, and might end the program
)

// errNotRegular is for pipes, devices and folders: to read one may never end.
type errNotRegular string

func (path errNotRegular) Error() string { return string(path) + " is not a regular file" }

// A sizeError says that a file is not opened because of its size.
type sizeError struct {
	path      string
	got, most int64
}

func (e sizeError) Error() string {
	return fmt.Sprintf("%s is %d bytes, expected at most %d", e.path, e.got, e.most)
}

// openFile opens a regular file.
func openFile(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path) // a device may do something when it is opened
	if err == nil && !info.Mode().IsRegular() {
		return nil, nil, errNotRegular(path)
	}
	if err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err = file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular(path)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// startsWith is whether a regular file begins with some bytes.
func startsWith(path, magic string) (bool, error) {
	file, _, err := openFile(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(file, start); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	return string(start) == magic, nil
}

// readFile reads a regular file whose size is known to be from least to most before it is read.
func readFile(path string, least, most int64) ([]byte, error) {
	file, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size := info.Size(); size < least || size > most {
		return nil, sizeError{path, size, most}
	}
	// Kernel files report no size, and others may grow, so most is the limit in any case.
	data := make([]byte, 0, info.Size()+1)
	for {
		n, err := file.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if int64(len(data)) > most {
			return nil, sizeError{path, int64(len(data)), most}
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
	if size := int64(len(data)); size < least {
		return nil, sizeError{path, size, most}
	}
	return data, nil
}

// read gives the bytes of a file of the bundle whose digest was checked, so that they cannot change
// before they are used.
func (b *Bundle) read(file string, bytes int64, digest string) ([]byte, error) {
	path := filepath.Join(b.Folder, file)
	if bytes > maxBytes {
		return nil, fmt.Errorf("%s: %d bytes are more than %d", path, bytes, maxBytes)
	}
	data, err := readFile(path, bytes, bytes)
	if size := (sizeError{}); errors.As(err, &size) {
		return nil, fmt.Errorf("%s is not the file that the manifest names: "+
			"expected %d bytes, got %d. Export the bundle again.", path, bytes, size.got)
	}
	if isMissing(err) {
		return nil, fmt.Errorf("%s is missing, though the manifest names it: export the bundle again", path)
	}
	if err != nil {
		return nil, unread(path, err)
	}
	if found := fmt.Sprintf("%x", sha256.Sum256(data)); found != digest {
		return nil, fmt.Errorf("%s is not the file that the manifest names: "+
			"expected sha256 %s, got %s. Export the bundle again.", path, digest, found)
	}
	return data, nil
}

// unread says why a file was not read.
func unread(path string, err error) error {
	if regular, size := errNotRegular(""), (sizeError{}); errors.As(err, &regular) || errors.As(err, &size) {
		return err // it names the path
	}
	return fmt.Errorf("cannot read %s: %w", path, reason(err))
}

func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// reason is an error without the prefix that Go adds, such as "open FILE".
func reason(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}
