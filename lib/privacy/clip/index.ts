// Clipping rules, and which parameters they bound together.

export { abadi } from './abadi';
export { adaptive, type AdaptiveClip, type AdaptiveOptions, isAdaptive } from './adaptive';
export { automatic } from './automatic';
export { type Clip, type ClipOptions, usableOr0, widened } from './clip';
export { global } from './global';
export { boundedGroups, type GroupAssignment, type Grouping, type ParameterGroup, together } from './grouping';
export { groups, type GroupSpec } from './groups';
export { normalize } from './normalize';
export { perLayer } from './per-layer';
export { psac } from './psac';
