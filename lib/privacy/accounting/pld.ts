// TEMPORARY until the real one lands (uncommitted): lets the engine be tested.
import type { Accountant } from './accountant';
import { exact } from './exact';
export function pld(): Accountant {
  return { ...exact(), name: 'pld' };
}
