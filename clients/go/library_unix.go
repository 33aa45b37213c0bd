//go:build !windows

package aeonnx

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"unsafe"
)

// entry loads a library and gives the address of its OrtGetApiBase.
func entry(path string) (uintptr, error) {
	name, symbol := C.CString(path), C.CString("OrtGetApiBase")
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(symbol))
	library := C.dlopen(name, C.RTLD_NOW)
	if library == nil {
		return 0, errors.New(C.GoString(C.dlerror()))
	}
	found := C.dlsym(library, symbol)
	if found == nil {
		return 0, errors.New(C.GoString(C.dlerror()))
	}
	return uintptr(found), nil
}
