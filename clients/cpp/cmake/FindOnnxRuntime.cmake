# The headers of onnxruntime as OnnxRuntime::OnnxRuntime: from ONNXRUNTIME_ROOT, a folder with
# include/ such as an unpacked release, or from the system. The library is loaded at run time.
set(ONNXRUNTIME_ROOT "$ENV{ONNXRUNTIME_ROOT}" CACHE PATH "Folder with onnxruntime's include/")

find_path(OnnxRuntime_INCLUDE_DIR onnxruntime_cxx_api.h
  HINTS ${ONNXRUNTIME_ROOT}
  PATH_SUFFIXES include include/onnxruntime include/onnxruntime/core/session)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxRuntime
  REQUIRED_VARS OnnxRuntime_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "pass -DONNXRUNTIME_ROOT=FOLDER, an unpacked release")

if(OnnxRuntime_FOUND AND NOT TARGET OnnxRuntime::OnnxRuntime)
  add_library(OnnxRuntime::OnnxRuntime INTERFACE IMPORTED)
  set_target_properties(OnnxRuntime::OnnxRuntime PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${OnnxRuntime_INCLUDE_DIR}")
endif()
