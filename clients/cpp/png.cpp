// PNG by libpng. What that leaves out is here: checksums of chunks that it would pass over, the end
// of the compressed rows, several pictures, and the orientation.
#include <png.h>
#include <zlib.h>

#include <cstdio>
#include <cstring>
#include <new>

#include "decode.hpp"
#include "text.hpp"

namespace aeonnx {
namespace {

constexpr std::size_t signature = 8;

struct Chunks {
    std::string plain;  // a PNG of those chunks that say what the pixels are
    std::string rows;   // compressed
    int orientation = 1;
    Size size{};
    std::uint32_t depth = 0, colour = 0, interlaced = 0;
    bool rows_ended = false;
};

std::uint32_t checksum(std::string_view data) {
    return static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
}

void take(Chunks& found, std::string_view type, std::string_view body) {
    if (type == "IHDR") {
        found.size = {big32(body, 0), big32(body, 4)};
        found.depth = big32(body, 8) >> 24;
        found.colour = big32(body, 8) >> 16 & 0xFF;
        found.interlaced = big32(body, 9) & 0xFF;
    }
    if (type == "IDAT" && found.rows_ended) throw Unreadable("its rows are not in one piece");
    if (type == "IDAT") found.rows += body;
    found.rows_ended = !found.rows.empty() && type != "IDAT";
    if (type == "eXIf") found.orientation = exif_orientation(body);
    if (type == "acTL" && big32(body, 0) > 1) {
        throw Unfit(" holds " + std::to_string(big32(body, 0)) + " pictures: expected one");
    }
}

Chunks chunks_of(std::string_view data) {
    Chunks found;
    found.plain = data.substr(0, signature);
    for (std::size_t at = signature;;) {
        const std::uint32_t size = big32(data, at);
        if (size > data.size() || data.size() - size < at + 12) throw Unreadable("it is cut");
        const std::string_view type = data.substr(at + 4, 4);
        if (big32(data, at + 8 + size) != checksum(data.substr(at + 4, size + 4))) {
            throw Unreadable("a checksum is wrong");
        }
        if ((at == signature) != (type == "IHDR")) throw Unreadable("its header is not first");
        take(found, type, data.substr(at + 8, size));
        // Capital letters begin what a decoder must know; transparency is the one other such chunk.
        const bool pixels = (type[0] >= 'A' && type[0] <= 'Z') || type == "tRNS";
        if (pixels) found.plain += data.substr(at, size + 12);
        at += size + 12;
        if (type == "IEND") return found;
    }
}

std::uint64_t rows_size(std::uint64_t width, std::uint64_t height, std::uint64_t bits) {
    return width && height ? height * (1 + (width * bits + 7) / 8) : 0;
}

// What the rows are, uncompressed: each behind a byte; interlaced in seven smaller pictures.
std::uint64_t uncompressed_size(const Chunks& png) {
    constexpr std::uint32_t starts[7][4] = {// x, y, and the steps
                                            {0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                            {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    const std::uint32_t channels[7] = {1, 1, 3, 1, 2, 1, 4};
    const std::uint64_t width = png.size.width, height = png.size.height;
    const std::uint64_t bits = png.depth * (png.colour < 7 ? channels[png.colour] : 1);
    if (!png.interlaced) return rows_size(width, height, bits);
    std::uint64_t size = 0;
    for (const auto& [x, y, across, down] : starts) {
        size += rows_size((width + across - 1 - x) / across, (height + down - 1 - y) / down, bits);
    }
    return size;
}

// libpng does not look behind the last row: the checksum of the compressed data is there.
void require_whole_rows(const Chunks& png) {
    z_stream stream{};
    if (inflateInit(&stream) != Z_OK) throw Unreadable("zlib has no memory");
    std::vector<unsigned char> scratch(1 << 16);
    const std::uint64_t expected = uncompressed_size(png);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(png.rows.data()));
    stream.avail_in = static_cast<uInt>(png.rows.size());
    int state = Z_OK;
    while (state == Z_OK && stream.total_out <= expected) {
        stream.next_out = scratch.data();
        stream.avail_out = static_cast<uInt>(scratch.size());
        state = inflate(&stream, Z_NO_FLUSH);
    }
    const bool whole = state == Z_STREAM_END && stream.total_out == expected;
    const std::string reason = state == Z_DATA_ERROR && stream.msg ? stream.msg : "";
    inflateEnd(&stream);
    if (!reason.empty()) throw Unreadable("its rows are damaged: " + reason);
    if (!whole) throw Unreadable("it does not have the rows that its header says");
}

// What libpng's callbacks need; nothing in it has a destructor, since libpng leaves by longjmp.
struct Job {
    const unsigned char* next;
    std::size_t left;
    char reason[200];
};

void failed(png_structp png, png_const_charp reason) {
    Job* const job = static_cast<Job*>(png_get_error_ptr(png));
    std::snprintf(job->reason, sizeof job->reason, "%s", reason);
    png_longjmp(png, 1);
}

void warned(png_structp, png_const_charp) {}

void give(png_structp png, png_bytep bytes, std::size_t size) {
    Job* const job = static_cast<Job*>(png_get_io_ptr(png));
    if (size > job->left) png_error(png, "it is cut");
    std::memcpy(bytes, job->next, size);
    job->next += size;
    job->left -= size;
}

void keep(png_structp png, png_bytep bytes, std::size_t size) {
    try {
        static_cast<std::string*>(png_get_io_ptr(png))
            ->append(reinterpret_cast<const char*>(bytes), size);
        return;
    } catch (const std::bad_alloc&) {  // which must not pass through libpng
    }
    png_error(png, "there is no memory");
}

bool read_rows(png_structp png, png_infop info, Job* job, Size size, png_bytepp rows) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_read_fn(png, job, give);
    png_set_benign_errors(png, 0);  // damage that libpng would only warn of
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png, info);
    png_set_expand(png);  // palettes, fewer bits, and transparent colours
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != std::size_t{4} * size.width) png_error(png, "odd rows");
    png_read_image(png, rows);
    png_read_end(png, nullptr);
    return true;
}

bool write_rows(png_structp png, png_infop info, std::string* text, Size size, int colour,
                png_bytepp rows) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_write_fn(png, text, keep, nullptr);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(png, info, size.width, size.height, 8, colour, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, nullptr);
    return true;
}

std::vector<png_bytep> rows_of(const std::vector<unsigned char>& values, std::uint32_t height) {
    std::vector<png_bytep> rows(height);
    const std::size_t row = values.size() / height;
    for (std::size_t y = 0; y < height; ++y) {
        rows[y] = const_cast<png_bytep>(values.data()) + y * row;
    }
    return rows;
}

}  // namespace

Pixels decode_png(std::string_view data, const Accept& accept) {
    const Chunks chunks = chunks_of(data);
    if (!chunks.size.width || !chunks.size.height) throw Unreadable("it has no pixels");
    accept(chunks.size, chunks.orientation);
    require_whole_rows(chunks);
    const std::size_t area = std::size_t{chunks.size.width} * chunks.size.height;
    Pixels pixels{chunks.size, chunks.orientation, std::vector<unsigned char>(area * 4)};
    std::vector<png_bytep> rows = rows_of(pixels.rgba, chunks.size.height);
    Job job{reinterpret_cast<const unsigned char*>(chunks.plain.data()), chunks.plain.size(), ""};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, failed, warned);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    const bool done = info && read_rows(png, info, &job, chunks.size, rows.data());
    png_destroy_read_struct(&png, &info, nullptr);
    if (!done) throw Unreadable(job.reason[0] ? job.reason : "libpng has no memory");
    return pixels;
}

std::string encode_png(Size size, int channels, const std::vector<unsigned char>& values) {
    constexpr int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                               PNG_COLOR_TYPE_RGB_ALPHA};
    std::vector<png_bytep> rows = rows_of(values, size.height);
    std::string text;
    Job job{nullptr, 0, ""};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &job, failed, warned);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    const bool done =
        info && write_rows(png, info, &text, size, colours[channels - 1], rows.data());
    png_destroy_write_struct(&png, &info);
    if (!done) throw Error(1, std::string("cannot make a PNG: ") + job.reason);
    return text;
}

}  // namespace aeonnx
