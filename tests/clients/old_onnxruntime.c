/* A library that is too old for every client: it knows its version and no API. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const void* (*GetApi)(uint32_t version);
    const char* (*GetVersionString)(void);
} OrtApiBase;

static const void* no_api(uint32_t version) {
    (void)version;
    return NULL;
}

static const char* version(void) { return "1.10.0"; }

static const OrtApiBase base = {no_api, version};

const OrtApiBase* OrtGetApiBase(void) { return &base; }
