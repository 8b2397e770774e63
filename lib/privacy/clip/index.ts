// Clipping rules.

export { abadi } from './abadi';
export { automatic } from './automatic';
export type { Clip, ClipOptions } from './clip';
export { normalize } from './normalize';
