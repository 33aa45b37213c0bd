package aeonnx

import "syscall"

// entry loads a library and gives the address of its OrtGetApiBase.
func entry(path string) (uintptr, error) {
	library, err := syscall.LoadLibrary(path)
	if err != nil {
		return 0, err
	}
	return syscall.GetProcAddress(library, "OrtGetApiBase")
}
