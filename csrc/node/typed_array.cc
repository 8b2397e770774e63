// The copies themselves, and the table of which typed array carries which dtype.
#include "typed_array.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "names.h"
#include "native.h"

namespace phantomgrad {

namespace {

struct Carrier {
  c10::ScalarType dtype;
  napi_typedarray_type array;
};

constexpr Carrier kCarriers[] = {
    {c10::kFloat, napi_float32_array}, {c10::kDouble, napi_float64_array},     {c10::kLong, napi_bigint64_array},
    {c10::kInt, napi_int32_array},     {c10::kShort, napi_int16_array},        {c10::kChar, napi_int8_array},
    {c10::kByte, napi_uint8_array},    {c10::kByte, napi_uint8_clamped_array}, {c10::kBool, napi_uint8_array},
    {c10::kHalf, napi_uint16_array},   {c10::kBFloat16, napi_uint16_array},
};

bool carries(c10::ScalarType dtype, napi_typedarray_type array) {
  for (const Carrier& carrier : kCarriers)
    if (carrier.dtype == dtype && carrier.array == array) return true;
  return false;
}

napi_typedarray_type carrier_of(c10::ScalarType dtype) {
  for (const Carrier& carrier : kCarriers)
    if (carrier.dtype == dtype) return carrier.array;
  refuse("ERR_INVALID_ARGUMENT", "toTypedArray: ", dtype_name(dtype),
         " has no typed array; convert with to('float32')");
}

std::vector<int64_t> read_shape(napi_env env, napi_value value) {
  PG_CHECK(js::is_array(env, value), "ERR_INVALID_ARGUMENT", "fromTypedArray: shape must be an array of numbers");
  std::vector<int64_t> shape(js::length(env, value));
  for (size_t i = 0; i < shape.size(); ++i) {
    shape[i] = read_count(env, js::element(env, value, static_cast<uint32_t>(i)), "fromTypedArray", "shape");
    PG_CHECK(shape[i] >= 0, "ERR_INVALID_ARGUMENT", "fromTypedArray: shape must not be negative, got ", shape[i]);
  }
  return shape;
}

// Shapes come from users: the product may overflow before it is compared with the array's length.
bool has_elements(const std::vector<int64_t>& shape, size_t expected) {
  int64_t product = 1;
  for (const int64_t size : shape)
    if (__builtin_mul_overflow(product, size, &product)) return false;
  return static_cast<size_t>(product) == expected;
}

// LibTorch assumes that a bool is 0 or 1 and computes nonsense on any other byte.
void copy_bools(void* out, const void* in, size_t count) {
  for (size_t i = 0; i < count; ++i) static_cast<uint8_t*>(out)[i] = static_cast<const uint8_t*>(in)[i] != 0;
}

}  // namespace

napi_value from_typed_array(napi_env env, napi_callback_info info) {
  return guarded(env, "fromTypedArray", [&] {
    const auto [array, shape_value, dtype_value] = arguments<3>(env, info);
    bool typed;
    js::ok(napi_is_typedarray(env, array, &typed));
    PG_CHECK(typed, "ERR_INVALID_ARGUMENT", "fromTypedArray: expected a typed array, got ", js::describe(env, array));
    const std::string name = read_text(env, dtype_value, "fromTypedArray", "dtype");
    const std::optional<c10::ScalarType> dtype = dtype_from_name(name);
    const std::vector<int64_t> shape = read_shape(env, shape_value);
    // Read last: nothing after this line may run JavaScript, which could detach the buffer.
    napi_typedarray_type type;
    size_t count;
    void* data;
    js::ok(napi_get_typedarray_info(env, array, &type, &count, &data, nullptr, nullptr));
    PG_CHECK(dtype.has_value() && carries(*dtype, type), "ERR_INVALID_ARGUMENT", "fromTypedArray: dtype '", name,
             "' cannot be read from this kind of typed array");
    PG_CHECK(has_elements(shape, count), "ERR_INVALID_ARGUMENT", "fromTypedArray: shape ", at::IntArrayRef(shape),
             " does not hold ", count, " elements (a detached buffer has none)");
    at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(*dtype));
    if (*dtype == c10::kBool) {
      copy_bools(tensor.mutable_data_ptr(), data, count);
    } else if (count > 0) {
      std::memcpy(tensor.mutable_data_ptr(), data, tensor.nbytes());
    }
    return wrap(env, std::move(tensor));
  });
}

napi_value to_typed_array(napi_env env, napi_callback_info info) {
  return guarded(env, "toTypedArray", [&] {
    const at::Tensor& self = tensor_handle(env, arguments<1>(env, info)[0], "toTypedArray").tensor;
    const napi_typedarray_type type = carrier_of(self.scalar_type());
    // resolve_neg, resolve_conj: lazy views keep the plain bytes of their base.
    const at::Tensor tensor = self.detach().resolve_neg().to(at::kCPU).contiguous();
    napi_value buffer, out;
    void* data;
    js::ok(napi_create_arraybuffer(env, tensor.nbytes(), &data, &buffer));
    if (tensor.nbytes() > 0) std::memcpy(data, tensor.const_data_ptr(), tensor.nbytes());
    js::ok(napi_create_typedarray(env, type, static_cast<size_t>(tensor.numel()), buffer, 0, &out));
    return out;
  });
}

}  // namespace phantomgrad
