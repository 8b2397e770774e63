// The audit: does an engine do what its ledger says?

export { audit, type AuditOptions, type AuditReport, auditText } from './audit';
export type { Claim, Finding } from './finding';
export { epsilonLowerBound, type Guesses } from './one-run';
export type { AuditedMechanism, AuditedModel, AuditSubject, MakeEngine } from './subject';
