# node-gyp's door to the CMake build (CMakeLists.txt holds everything). The output is never made, so the action always
# runs and CMake decides what is stale.
{
  'targets': [{
    'target_name': 'phantomgrad',
    'type': 'none',
    'actions': [{
      'action_name': 'cmake',
      'inputs': ['CMakeLists.txt'],
      'outputs': ['<(PRODUCT_DIR)/.always'],
      'action': ['node', 'scripts/build-native.mjs', '--out', '<(PRODUCT_DIR)', '--config', '<(CONFIGURATION_NAME)'],
    }],
  }],
}
