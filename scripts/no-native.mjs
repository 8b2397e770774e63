// The end of an installation without native files: says what still works instead of failing the installation.
console.error(
  'phantomgrad: no native files for this platform were found or built. Privacy accounting works; training needs them.\n' +
    'Run `npx phantomgrad doctor` to see what is missing.',
);
