package aeonnx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileIsReplacedOnlyIfThatIsAskedFor(t *testing.T) {
	folder, image := t.TempDir(), NewTensor([]uint8{1}, 1, 1, 1, 1)
	path, link := filepath.Join(folder, "out.png"), filepath.Join(folder, "link.png")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("out.png", link); err != nil {
		t.Fatal(err)
	}
	expected := link + " exists already: pass --force to replace it, or name another"
	if err := WritePicture(link, image, false); err == nil || err.Error() != expected {
		t.Error(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "kept" {
		t.Errorf("%q", data)
	}
	if err := WritePicture(link, image, true); err != nil {
		t.Fatal(err)
	}
	info, _ := os.Lstat(path)
	if data, _ := os.ReadFile(path); !strings.HasPrefix(string(data), pngMagic) || info.Mode() != 0o600 {
		t.Errorf("%q %v", data, info.Mode())
	}
	if to, err := os.Readlink(link); to != "out.png" {
		t.Error(to, err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 2 {
		t.Error(entries)
	}
}

func TestADeviceIsWrittenThrough(t *testing.T) {
	if err := WritePicture(os.DevNull, NewTensor([]uint8{1}, 1, 1, 1, 1), false); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Error(info, err)
	}
	folder := t.TempDir()
	if err := Writable(folder, true); err == nil || err.Error() != "cannot write "+folder+": it is a folder" {
		t.Error(err)
	}
}
