"""Makes ONNX files: from PyTorch, and smaller ones by quantising. Needs the extra [export]."""
