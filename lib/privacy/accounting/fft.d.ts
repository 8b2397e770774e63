// Types of the part of fft.js that is used here; the package ships none.

declare module 'fft.js' {
  class FFT {
    /** @param size  A power of two above 1. */
    constructor(size: number);
    /** Transforms `size` real numbers; fills the first half of the spectrum, interleaved real and imaginary parts. */
    realTransform(out: Float64Array, data: Float64Array): void;
    /** Fills the second half of a spectrum of real numbers. */
    completeSpectrum(spectrum: Float64Array): void;
    /** The inverse transform of interleaved complex numbers, divided by `size`. */
    inverseTransform(out: Float64Array, data: Float64Array): void;
  }
  export = FFT;
}
