#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <random>
#include <system_error>
#include <utility>

#include "text.hpp"

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

namespace aeonnx {
namespace {

namespace fs = std::filesystem;

// The few calls that std::filesystem lacks: what was opened is looked at, not what had its name.
#ifdef _WIN32
constexpr int reading = _O_RDONLY | _O_BINARY, writing = _O_WRONLY | _O_BINARY;
constexpr int creating = writing | _O_CREAT | _O_EXCL;
using Status = struct _stat64;
int open_file(const fs::path& path, int flags, unsigned mode) {
    return _wopen(path.c_str(), flags, static_cast<int>(mode));
}
bool status_of(int file, Status& status) { return _fstat64(file, &status) == 0; }
bool is_regular(const Status& status) { return (status.st_mode & _S_IFMT) == _S_IFREG; }
int read_some(int file, void* data, unsigned size) { return _read(file, data, size); }
int write_some(int file, const void* data, unsigned size) { return _write(file, data, size); }
bool flush(int file) { return _commit(file) == 0; }
bool keep_mode(int, unsigned) { return true; }
bool close_file(int file) { return _close(file) == 0; }
#else
constexpr int reading = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr int writing = O_WRONLY | O_NOCTTY | O_CLOEXEC;
constexpr int creating = writing | O_CREAT | O_EXCL | O_NOFOLLOW;
using Status = struct stat;
int open_file(const fs::path& path, int flags, unsigned mode) {
    return open(path.c_str(), flags, static_cast<mode_t>(mode));
}
bool status_of(int file, Status& status) { return fstat(file, &status) == 0; }
bool is_regular(const Status& status) { return S_ISREG(status.st_mode); }
ssize_t read_some(int file, void* data, unsigned size) { return read(file, data, size); }
ssize_t write_some(int file, const void* data, unsigned size) { return write(file, data, size); }
bool flush(int file) { return fsync(file) == 0; }
bool keep_mode(int file, unsigned mode) { return fchmod(file, static_cast<mode_t>(mode)) == 0; }
bool close_file(int file) { return close(file) == 0; }
#endif

constexpr unsigned chunk = 1U << 30;  // bytes of one call
constexpr unsigned anyone = 0666, owner = 0600;

struct File {
    int number;
    explicit File(int opened) : number(opened) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (number >= 0) close_file(number);
    }
    bool close() { return close_file(std::exchange(number, -1)); }
};

std::string reason_of(int error) { return std::generic_category().message(error); }

Error cannot_write(const fs::path& path, const std::string& reason) {
    return Error(1, "cannot write " + path.string() + ": " + reason);
}

void write_all(int file, const std::string& data, const fs::path& path) {
    for (std::size_t done = 0; done < data.size();) {
        const auto size = static_cast<unsigned>(std::min<std::size_t>(data.size() - done, chunk));
        const auto written = write_some(file, data.data() + done, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw cannot_write(path, reason_of(errno));
        done += static_cast<std::size_t>(written);
    }
}

struct Target {
    fs::path file;                      // behind all links
    bool through;                       // a device or a pipe: opened as it is
    std::optional<unsigned> mode = {};  // of the file that is there
};

// The place that a name leads to, whether or not something is there.
fs::path behind_links(const fs::path& path) {
    fs::path file = path;
    std::error_code failed;
    for (int links = 0; fs::is_symlink(fs::symlink_status(file, failed)); ++links) {
        if (links == 40) throw cannot_write(path, reason_of(ELOOP));
        file = file.parent_path() / fs::read_symlink(file, failed);
        if (failed) throw cannot_write(path, failed.message());
    }
    return file;
}

Target target_of(const fs::path& path, bool force) {
    std::error_code failed;
    const fs::file_status found = fs::status(path, failed);
    if (found.type() == fs::file_type::none) throw cannot_write(path, failed.message());
    if (fs::is_directory(found) || (!fs::exists(found) && !path.has_filename())) {
        throw cannot_write(path, "it is a folder");
    }
    if (fs::exists(found) && !fs::is_regular_file(found)) return {path, true};
    if (fs::exists(found) && !force) {
        throw Error(1,
                    path.string() + " exists already: pass --force to replace it, or name another");
    }
    Target target{behind_links(path), false};
    if (fs::exists(found)) {
        target.mode = static_cast<unsigned>(found.permissions() & fs::perms::mask);
    }
    const fs::path folder = target.file.parent_path();
    if (!folder.empty() && !fs::is_directory(folder, failed)) {
        throw cannot_write(path, "no such folder");
    }
    return target;
}

// `.NAME.<8 hex>.part` beside a file.
fs::path hidden_beside(const fs::path& file) {
    std::string name = ".part";
    std::random_device random;
    for (int i = 0; i < 8; ++i) name.insert(name.begin(), "0123456789abcdef"[random() % 16]);
    return file.parent_path() / fs::path("." + file.filename().string() + "." + name);
}

// As `read_file`, of the first `most` bytes.
std::optional<std::vector<std::byte>> read_start(const fs::path& path,
                                                 const std::function<void(std::uint64_t)>& accept,
                                                 std::uint64_t most) {
    const File file(open_file(path, reading, 0));
    if (file.number < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
    if (file.number < 0 && errno != ENXIO) {
        throw Error(1, "cannot read " + path.string() + ": " + reason_of(errno));
    }
    Status status{};
    if (file.number < 0 || !status_of(file.number, status) || !is_regular(status)) {
        throw Error(1, path.string() + " is not a regular file");
    }
    const auto size = static_cast<std::uint64_t>(status.st_size);
    accept(size);
    std::vector<std::byte> data(std::min(size, most));
    for (std::size_t done = 0; done < data.size();) {
        const auto wanted = static_cast<unsigned>(std::min<std::size_t>(data.size() - done, chunk));
        const auto got = read_some(file.number, data.data() + done, wanted);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            throw Error(1, "cannot read " + path.string() + ": " +
                               (got < 0 ? reason_of(errno) : "it became shorter meanwhile"));
        }
        done += static_cast<std::size_t>(got);
    }
    return data;
}

}  // namespace

std::optional<std::vector<std::byte>> read_file(const fs::path& path,
                                                const std::function<void(std::uint64_t)>& accept) {
    return read_start(path, accept, std::numeric_limits<std::uint64_t>::max());
}

bool begins_with(const fs::path& path, std::string_view text) {
    const auto start = read_start(path, [](std::uint64_t) {}, text.size());
    if (!start) throw Error(1, path.string() + " does not exist");
    return std::string_view(reinterpret_cast<const char*>(start->data()), start->size()) == text;
}

std::function<void(std::uint64_t)> at_most(const fs::path& path, std::uint64_t most) {
    return [path, most](std::uint64_t size) {
        if (size <= most) return;
        throw Error(1, path.string() + " is " + std::to_string(size) + " bytes, expected at most " +
                           std::to_string(most));
    };
}

void require_writable(const fs::path& path, bool force) { target_of(path, force); }

void write_file(const fs::path& path, const std::string& data, bool force) {
    const Target target = target_of(path, force);
    const fs::path part = target.through ? target.file : hidden_beside(target.file);
    File file(open_file(part, target.through ? writing : creating, target.mode ? owner : anyone));
    if (file.number < 0) throw cannot_write(path, reason_of(errno));
    try {
        write_all(file.number, data, path);
        const bool kept = !target.mode || keep_mode(file.number, *target.mode);
        const bool flushed = target.through || flush(file.number);
        if (!kept || !flushed || !file.close()) throw cannot_write(path, reason_of(errno));
        if (target.through) return;
        std::error_code failed;
        fs::rename(part, target.file, failed);
        if (failed) throw cannot_write(path, failed.message());
    } catch (...) {
        std::error_code ignored;
        if (!target.through) fs::remove(part, ignored);
        throw;
    }
}

}  // namespace aeonnx
