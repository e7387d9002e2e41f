"""Compares quantised models with their source, in the runtime that they are for; prints JSON.

Usage: quantise_as_runtimes_do.py < {"runtime": "llama.cpp" | "onnxruntime", "source": FILE, "ours": FILE,
  "type": "fp16" | "q8_0" | "q4_0" | "q8" | "q4", "work": DIR, "ids": [...]}

The runtime's own quantiser makes the other file from the source, in DIR.
"""

import json
import os
import sys

import numpy


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=-1, keepdims=True))


def compare(reference, logits):
    a, b = log_softmax(reference.astype(numpy.float64)), log_softmax(logits.astype(numpy.float64))
    return {
        "max": float(numpy.abs(a - b).max()),
        "kl": float((numpy.exp(a) * (a - b)).sum(axis=-1).mean()),
        "top": float((a.argmax(-1) == b.argmax(-1)).mean()),
    }


def llama_cpp_logits(path, ids):
    from llama_cpp import Llama

    model = Llama(path, n_ctx=len(ids), n_batch=len(ids), logits_all=True, verbose=False, n_threads=1)
    model.eval(ids)
    return numpy.array(model.scores[: len(ids)])


def llama_cpp_quantise(source, out, kind):
    import llama_cpp

    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = {
        "fp16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
        "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
        "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    }[kind]
    if llama_cpp.llama_model_quantize(source.encode(), out.encode(), parameters) != 0:
        sys.exit(f"llama.cpp does not quantise {source}")


def onnx_logits(path, ids):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {}
    for tensor in session.get_inputs():
        if tensor.name.startswith("past_key_values."):
            _, heads, _, size = tensor.shape
            feeds[tensor.name] = numpy.zeros((1, heads, 0, size), dtype=numpy.float32)
    feeds["input_ids"] = numpy.array([ids], dtype=numpy.int64)
    feeds["attention_mask"] = numpy.ones((1, len(ids)), dtype=numpy.int64)
    feeds["position_ids"] = numpy.arange(len(ids), dtype=numpy.int64)[None]
    return session.run(["logits"], feeds)[0][0]


def with_matmuls(source, out):
    """The same graph with MatMul for Gemm, which onnxruntime's quantisers do not know."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(source)
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    transposed = {}
    for node in graph.node:
        if node.op_type != "Gemm":
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if attributes != {"transB": 1} or len(node.input) != 2:
            sys.exit(f"{node.name} has {attributes} and {len(node.input)} inputs")
        name = node.input[1]
        transposed[name] = f"{name}_transposed"
        node.op_type = "MatMul"
        node.input[1] = transposed[name]
        del node.attribute[:]
    for name, other in transposed.items():
        values = numpy.ascontiguousarray(numpy_helper.to_array(weights[name]).T)
        graph.initializer.append(numpy_helper.from_array(values, other))
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    onnx.save(model, out, save_as_external_data=True, location="matmuls.data")
    return out


def onnx_quantise(source, out, kind):
    import onnx
    from onnxruntime import quantization

    source = with_matmuls(source, f"{request['work']}/matmuls.onnx")
    if kind == "q8":
        quantization.quantize_dynamic(
            source,
            out,
            weight_type=quantization.QuantType.QUInt8,
            use_external_data_format=True,
            # shape inference stops at the operators of onnxruntime's own domain
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantiser = MatMulNBitsQuantizer(onnx.load(source), block_size=32, is_symmetric=False)
    quantiser.process()
    quantiser.model.save_model_to_file(out, use_external_data_format=True)


request = json.load(sys.stdin)
ids, kind = request["ids"], request["type"]
logits, quantise = {
    "llama.cpp": (llama_cpp_logits, llama_cpp_quantise),
    "onnxruntime": (onnx_logits, onnx_quantise),
}[request["runtime"]]
theirs = f"{request['work']}/theirs.{'gguf' if request['runtime'] == 'llama.cpp' else 'onnx'}"
quantise(request["source"], theirs, kind)
reference = logits(request["source"], ids)


def distance(path):
    beside = [f"{path}{suffix}" for suffix in ("", "_data", ".data")]
    size = sum(os.path.getsize(file) for file in beside if os.path.exists(file))
    return {**compare(reference, logits(path, ids)), "bytes": size}


runtime = __import__(request["runtime"].replace(".", "_"))
print(
    json.dumps(
        {
            "version": runtime.__version__,
            "ours": distance(request["ours"]),
            "theirs": distance(theirs),
        }
    )
)
