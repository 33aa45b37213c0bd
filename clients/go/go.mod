module aeonnx

go 1.25.0

require (
	github.com/yalue/onnxruntime_go v1.27.0
	golang.org/x/image v0.44.0
)
