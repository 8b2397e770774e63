// TEMPORARY (uncommitted).
export { pld } from './pld';
export { calibrateNoise } from './calibrate';
