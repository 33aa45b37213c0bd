package aeonnx

/*
#include <stdint.h>

// The part of onnxruntime's interface that is the same in all releases.
struct base {
	const void *(*api)(uint32_t version);
	const char *(*version)(void);
};

static const char *version(uintptr_t entry) {
	return ((const struct base *(*)(void))entry)()->version();
}
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// A LibraryError says that onnxruntime's shared library is missing, or too old.
type LibraryError string

func (e LibraryError) Error() string { return string(e) }

// Onnxruntime loads the shared library, once, and gives its version: the one that ORT_DYLIB_PATH
// names, else the one beside the program, else the system's. The error is a LibraryError.
func Onnxruntime() (version string, err error) { return load() }

var oldest = []int{1, 24, 1}

var load = sync.OnceValues(func() (version string, err error) {
	// Official builds send usage data unless this is set before they are loaded.
	os.Setenv("ORT_DISABLE_TELEMETRY", "1")
	path, looked := library()
	address, err := entry(path)
	if err != nil {
		return "", LibraryError(fmt.Sprintf("onnxruntime cannot be loaded: looked for %s (%v)", looked, err))
	}
	// Read before the binding loads the library, since it unloads one that is too old for it.
	version = C.GoString(C.version(C.uintptr_t(address)))
	if got, err := numbers(version); err != nil || slices.Compare(got, oldest) < 0 {
		return "", LibraryError(fmt.Sprintf("this program needs onnxruntime 1.24.1 or newer, since older ones "+
			"read files outside of a bundle, and %s is %s: put a newer library beside the program", path, version))
	}
	ort.SetSharedLibraryPath(path)
	// Failures are returned as errors, so onnxruntime need not print them too.
	if err = ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return "", LibraryError(fmt.Sprintf("%s is onnxruntime %s, which this program cannot use (%v): "+
			"put a newer library beside the program", path, version, err))
	}
	return version, nil
})

func library() (path, looked string) {
	if path = os.Getenv("ORT_DYLIB_PATH"); path != "" {
		return path, path + ", which ORT_DYLIB_PATH names"
	}
	name := map[string]string{"darwin": "libonnxruntime.dylib", "windows": "onnxruntime.dll"}[runtime.GOOS]
	if name == "" {
		name = "libonnxruntime.so"
	}
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	beside := filepath.Join(filepath.Dir(program), name)
	if _, missing := os.Stat(beside); err == nil && missing == nil {
		return beside, beside
	}
	return name, beside + ", then " + name + " among the system's"
}

// requireVersion refuses a graph that is too new for the library: onnxruntime's own error does not say
// that this is the reason.
func requireVersion(v *Variant, has string) error {
	needed, err := numbers(v.MinOnnxruntime)
	if err != nil {
		return fmt.Errorf("%s: min_onnxruntime: expected a version, got %q", v.File, v.MinOnnxruntime)
	}
	if got, _ := numbers(has); slices.Compare(got, needed) < 0 {
		return LibraryError(fmt.Sprintf("%s needs onnxruntime %s or newer (opset %d), this is %s: "+
			"put a newer library beside the program", v.File, v.MinOnnxruntime, v.Opset, has))
	}
	return nil
}

// numbers gives the three numbers of a version; missing ones are 0.
func numbers(version string) ([]int, error) {
	var major, minor, patch int
	_, err := fmt.Sscanf(version+".0.0", "%d.%d.%d", &major, &minor, &patch)
	return []int{major, minor, patch}, err
}
