#include "engine.hpp"

#include <cstdio>
#include <cstdlib>

#include "manifest.hpp"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace aeonnx {
namespace {

using GetBase = const OrtApiBase*(ORT_API_CALL*)();

// A program that is linked to the library starts with that very release only, since its symbols
// carry the release's number; without the library it does not start at all. So it is loaded by
// hand.
#ifdef _WIN32
constexpr const char* library_name = "onnxruntime.dll";  // looked for beside the program first

GetBase entry_of(const std::string& path, std::string& reason) {
    const HMODULE library = LoadLibraryA(path.c_str());
    if (library) return reinterpret_cast<GetBase>(GetProcAddress(library, "OrtGetApiBase"));
    reason = path + ": error " + std::to_string(GetLastError());
    return nullptr;
}

void without_telemetry() { _putenv_s("ORT_DISABLE_TELEMETRY", "1"); }
#else
#ifdef __APPLE__
constexpr const char* library_name = "@rpath/libonnxruntime.1.dylib";
#else
constexpr const char* library_name = "libonnxruntime.so.1";  // CMakeLists.txt says: beside it first
#endif

GetBase entry_of(const std::string& path, std::string& reason) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) return reinterpret_cast<GetBase>(dlsym(library, "OrtGetApiBase"));
    reason = dlerror();
    return nullptr;
}

void without_telemetry() { setenv("ORT_DISABLE_TELEMETRY", "1", 1); }
#endif

const OrtApiBase& base() {
    static const OrtApiBase* const found = [] {
        without_telemetry();  // before the library can send any
        const char* const asked = std::getenv("ORT_DYLIB_PATH");
        std::string reason = "it has no OrtGetApiBase";
        const GetBase entry = entry_of(asked ? asked : library_name, reason);
        if (!entry) {
            throw Error(4, "onnxruntime cannot be loaded: " + reason + ". Put " + library_name +
                               " beside the program, or its path into ORT_DYLIB_PATH");
        }
        return entry();
    }();
    return *found;
}

}  // namespace

std::string engine_version() { return base().GetVersionString(); }

std::optional<std::array<int, 3>> release_of(const std::string& version) {
    std::array<int, 3> numbers{};
    const int read =
        std::sscanf(version.c_str(), "%5d.%5d.%5d", &numbers[0], &numbers[1], &numbers[2]);
    if (read < 1) return std::nullopt;
    return numbers;
}

Ort::Env& environment() {
    constexpr std::array<int, 3> oldest = {1, 24, 1};
    const std::string lowest =
        ORT_API_VERSION > 24 ? "1." + std::to_string(ORT_API_VERSION) : "1.24.1";
    static const OrtApi* const api = base().GetApi(ORT_API_VERSION);
    if (!api || release_of(engine_version()) < oldest) {
        throw Error(4, "this program needs onnxruntime " + lowest + " or newer, this is " +
                           engine_version() + ": put a newer library beside the program");
    }
    Ort::InitApi(api);
    // It throws what it logs as an error, and would write names from a graph as they are.
    static Ort::Env env(ORT_LOGGING_LEVEL_FATAL, "aeonnx");
    return env;
}

}  // namespace aeonnx
