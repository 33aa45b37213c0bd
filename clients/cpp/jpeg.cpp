// JPEG by libjpeg-turbo, whose warnings of damage are errors here.
#include <csetjmp>
#include <cstdio>
#include <memory>
// clang-format off: jpeglib.h needs what cstdio defines, and jerror.h what jpeglib.h does.
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "decode.hpp"

namespace aeonnx {
namespace {

// Nothing here has a destructor that libjpeg's longjmp could pass over.
struct Job {
    jpeg_error_mgr errors;  // first: libjpeg hands it back as a pointer to this
    std::jmp_buf back;
    char reason[JMSG_LENGTH_MAX];
    jpeg_decompress_struct jpeg;
};

[[noreturn]] void failed(j_common_ptr info) {
    Job* const job = reinterpret_cast<Job*>(info->err);
    job->errors.format_message(info, job->reason);
    std::longjmp(job->back, 1);
}

void warned(j_common_ptr info, int level) {
    const int code = info->err->msg_code;
    // Bytes between the segments, and odd headers: all pixels are there.
    const bool harmless =
        code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM;
    if (level < 0 && !harmless) failed(info);
}

bool read_header(Job* job, std::string_view data) {
    if (setjmp(job->back)) return false;
    jpeg_create_decompress(&job->jpeg);
    jpeg_mem_src(&job->jpeg, reinterpret_cast<const unsigned char*>(data.data()), data.size());
    jpeg_save_markers(&job->jpeg, JPEG_APP0 + 1, 0xFFFF);  // EXIF
    jpeg_read_header(&job->jpeg, TRUE);
    return true;
}

bool read_rows(Job* job, unsigned char* values) {
    if (setjmp(job->back)) return false;
    jpeg_decompress_struct& jpeg = job->jpeg;
    jpeg.out_color_space = jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    const std::size_t row =
        std::size_t{jpeg.output_width} * static_cast<std::size_t>(jpeg.output_components);
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW next = values + jpeg.output_scanline * row;
        jpeg_read_scanlines(&jpeg, &next, 1);
    }
    jpeg_finish_decompress(&jpeg);  // reads on to the end marker
    return true;
}

int orientation_of(const jpeg_decompress_struct& jpeg) {
    const std::string_view exif("Exif\0\0", 6);
    for (auto marker = jpeg.marker_list; marker; marker = marker->next) {
        const std::string_view data(reinterpret_cast<const char*>(marker->data),
                                    marker->data_length);
        if (data.substr(0, exif.size()) == exif) return exif_orientation(data.substr(exif.size()));
    }
    return 1;
}

struct Destroy {
    void operator()(Job* job) const {
        jpeg_destroy_decompress(&job->jpeg);
        delete job;
    }
};

}  // namespace

Pixels decode_jpeg(std::string_view data, const Accept& accept) {
    const std::unique_ptr<Job, Destroy> job(new Job{});
    job->jpeg.err = jpeg_std_error(&job->errors);
    job->errors.error_exit = failed;
    job->errors.emit_message = warned;
    if (!read_header(job.get(), data)) throw Unreadable(job->reason);
    const J_COLOR_SPACE colours = job->jpeg.jpeg_color_space;
    if (colours == JCS_CMYK || colours == JCS_YCCK) {
        throw Unfit(" is in CMYK, whose colours depend on its profile: convert it to RGB first");
    }
    Pixels pixels{{job->jpeg.image_width, job->jpeg.image_height}, orientation_of(job->jpeg), {}};
    accept(pixels.size, pixels.orientation);
    const std::size_t channels = job->jpeg.num_components == 1 ? 1 : 3;
    const std::size_t area = std::size_t{pixels.size.width} * pixels.size.height;
    std::vector<unsigned char> values(area * channels);
    if (!read_rows(job.get(), values.data())) throw Unreadable(job->reason);
    pixels.rgba.resize(area * 4, 255);
    for (std::size_t i = 0; i < area; ++i) {
        for (std::size_t c = 0; c < 3; ++c) {
            pixels.rgba[4 * i + c] = values[channels * i + c % channels];
        }
    }
    return pixels;
}

}  // namespace aeonnx
