// The part of node-gyp-build that we call; the package brings no types.
declare module 'node-gyp-build' {
  const load: { resolve(folder: string): string };
  export default load;
}
