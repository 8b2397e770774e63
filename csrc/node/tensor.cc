// Metadata, autograd and scalars of one tensor.
#include "tensor.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/item.h>

#include "names.h"
#include "native.h"

namespace phantomgrad {

namespace {

at::Tensor& tensor_argument(napi_env env, napi_callback_info info, const char* operation) {
  return tensor_handle(env, arguments<1>(env, info)[0], operation).tensor;
}

}  // namespace

napi_value tensor_shape(napi_env env, napi_callback_info info) {
  return guarded(env, "shape", [&] {
    const at::IntArrayRef sizes = tensor_argument(env, info, "shape").sizes();
    napi_value out = js::array(env, sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) js::set(env, out, i, js::integer(env, sizes[i]));
    return out;
  });
}

napi_value tensor_dtype(napi_env env, napi_callback_info info) {
  return guarded(env, "dtype",
                 [&] { return js::string(env, dtype_name(tensor_argument(env, info, "dtype").scalar_type())); });
}

napi_value tensor_device(napi_env env, napi_callback_info info) {
  return guarded(env, "device", [&] { return js::string(env, tensor_argument(env, info, "device").device().str()); });
}

napi_value tensor_numel(napi_env env, napi_callback_info info) {
  return guarded(env, "numel", [&] { return js::integer(env, tensor_argument(env, info, "numel").numel()); });
}

napi_value tensor_is_leaf(napi_env env, napi_callback_info info) {
  return guarded(env, "isLeaf", [&] { return js::boolean(env, tensor_argument(env, info, "isLeaf").is_leaf()); });
}

napi_value tensor_requires_grad(napi_env env, napi_callback_info info) {
  return guarded(env, "requiresGrad",
                 [&] { return js::boolean(env, tensor_argument(env, info, "requiresGrad").requires_grad()); });
}

napi_value tensor_grad(napi_env env, napi_callback_info info) {
  return guarded(env, "grad", [&] { return wrap(env, tensor_argument(env, info, "grad").grad()); });
}

napi_value tensor_set_grad(napi_env env, napi_callback_info info) {
  return guarded(env, "setGrad", [&] {
    const auto [self, value] = arguments<2>(env, info);
    at::Tensor& tensor = tensor_handle(env, self, "setGrad").tensor;
    if (js::is_nullish(js::type_of(env, value))) {
      tensor.mutable_grad().reset();
      return js::undefined(env);
    }
    const at::Tensor& grad = tensor_handle(env, value, "setGrad").tensor;
    PG_CHECK(grad.sizes() == tensor.sizes() && grad.options().type_equal(tensor.options()), "ERR_INVALID_ARGUMENT",
             "grad: a gradient has the shape, dtype and device of its tensor, got ", grad.sizes(), " ", grad.toString(),
             " for ", tensor.sizes(), " ", tensor.toString());
    tensor.mutable_grad() = grad;
    return js::undefined(env);
  });
}

napi_value tensor_backward(napi_env env, napi_callback_info info) {
  return guarded(env, "backward", [&] {
    const auto [self, gradient, retain_graph, create_graph] = arguments<4>(env, info);
    const at::Tensor tensor = tensor_handle(env, self, "backward").tensor;
    at::Tensor seed;
    if (!js::is_nullish(js::type_of(env, gradient))) seed = tensor_handle(env, gradient, "backward").tensor;
    tensor.backward(seed, read_flag(env, retain_graph, "backward", "retainGraph"),
                    read_flag(env, create_graph, "backward", "createGraph"));
    return js::undefined(env);
  });
}

napi_value tensor_item(napi_env env, napi_callback_info info) {
  return guarded(env, "item", [&] {
    const at::Tensor& tensor = tensor_argument(env, info, "item");
    PG_CHECK(tensor.numel() == 1, "ERR_INVALID_ARGUMENT", "item: the tensor must hold one element, got shape ",
             tensor.sizes());
    PG_CHECK(!tensor.is_complex(), "ERR_INVALID_ARGUMENT",
             "item: a complex number has no JavaScript form; use viewAsReal");
    const c10::Scalar scalar = tensor.item();
    if (scalar.isFloatingPoint()) return js::number(env, scalar.toDouble());
    if (scalar.isBoolean()) return js::number(env, scalar.toBool() ? 1 : 0);
    return js::integer(env, scalar.toLong());
  });
}

napi_value tensor_dispose(napi_env env, napi_callback_info info) {
  return guarded(env, "dispose", [&] {
    const napi_value self = arguments<1>(env, info)[0];
    Handle* handle = find_handle(env, self, js::type_of(env, self));
    PG_CHECK(handle != nullptr, "ERR_INVALID_ARGUMENT", "dispose: expected a Tensor of this environment");
    dispose(env, *handle);
    return js::undefined(env);
  });
}

}  // namespace phantomgrad
