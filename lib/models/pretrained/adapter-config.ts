// adapter_config.json of Python's peft: what it says of low-rank additions, and what would make them something else.

import type { Json } from './config';
import { ConfigReader } from './config';

/** What an adapter's folder holds. */
export const ADAPTER_FILES = { config: 'adapter_config.json', weights: 'adapter_model.safetensors' } as const;

/** The fields that peft must find, beside those of {@link writeAdapterConfig}. */
const USUAL = {
  peft_type: 'LORA',
  auto_mapping: null,
  revision: null,
  bias: 'none',
  lora_dropout: 0,
  inference_mode: true,
  init_lora_weights: true,
  use_rslora: false,
  use_dora: false,
  layers_to_transform: null,
  layers_pattern: null,
} as const;

/** Rank and factor of one layer's additions. */
export interface AdapterShape {
  readonly rank: number;
  /** The product counts alpha / rank. */
  readonly alpha: number;
}

export interface AdapterDescription {
  readonly base: string | null;
  readonly task: string;
  /** Additions by Python's name of the layer. */
  readonly layers: ReadonlyMap<string, AdapterShape>;
  /** Whether these layers store their weights `[in, out]`. */
  readonly transposed: boolean;
  /** Layers that are saved whole, by Python's name. */
  readonly whole: readonly string[];
}

const TASKS: Readonly<Record<string, string>> = {
  'causal-lm': 'CAUSAL_LM',
  'sequence-classification': 'SEQ_CLS',
  'conditional-generation': 'SEQ_2_SEQ_LM',
  features: 'FEATURE_EXTRACTION',
};

export function writeAdapterConfig({ base, task, layers, transposed, whole }: AdapterDescription): Json {
  const [first] = layers.values();
  const { rank, alpha } = first!;
  const other = (value: (shape: AdapterShape) => number, usual: number): Json =>
    Object.fromEntries([...layers].filter(([, own]) => value(own) !== usual).map(([name, own]) => [name, value(own)]));
  return {
    ...USUAL,
    base_model_name_or_path: base,
    task_type: TASKS[task] ?? null,
    r: rank,
    lora_alpha: alpha,
    rank_pattern: other((shape) => shape.rank, rank),
    alpha_pattern: other((shape) => shape.alpha, alpha),
    target_modules: [...layers.keys()].sort(),
    modules_to_save: whole.length === 0 ? null : [...whole].sort(),
    fan_in_fan_out: transposed,
  };
}

/** Fields that change nothing where they are null, false, empty, or as here. */
const HARMLESS: Json = {
  ...USUAL,
  inference_mode: null,
  megatron_core: 'megatron.core',
  qalora_group_size: null,
  ensure_weight_tying: false,
};

/** Fields that say where an adapter is from, what is read from its tensors, or how it was begun. */
const SILENT =
  /^(base_model_name_or_path|task_type|peft_version|auto_mapping|revision|r|lora_alpha|(rank|alpha)_pattern|target_modules|exclude_modules|modules_to_save|fan_in_fan_out|inference_mode|init_lora_weights|lora_dropout|use_rslora|qalora_group_size|(eva|corda|loftq|kasa|lora_ga)_config|layers_(to_transform|pattern))$/;

/**
 * Rank and factor of a layer by its name.
 *
 * @throws ERR_MODEL_CONFIG for adapters of another kind, and options that compute something else
 */
export function readAdapterConfig(raw: Json, file: string): (layer: string, rank: number) => AdapterShape {
  const config = new ConfigReader(raw, file);
  for (const [field, value] of Object.entries(raw)) {
    const nothing = value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0);
    if (!nothing && !SILENT.test(field) && value !== HARMLESS[field])
      config.refuse(`${field} = ${JSON.stringify(value)} is not known here, and would change what the adapter does`);
  }
  const alphas = patterns(config.object('alpha_pattern'));
  const usual = config.number('lora_alpha', 8);
  const rooted = config.boolean('use_rslora', false);
  return (layer, rank) => {
    // As in peft: a pattern is the end of a name, from one of its parts on.
    const [, alpha] = alphas.find(([pattern]) => pattern.test(layer)) ?? [null, usual];
    return { rank, alpha: rooted ? alpha * Math.sqrt(rank) : alpha };
  };
}

/** Numbers by what names of layers end with. */
function patterns(config: ConfigReader | null): [pattern: RegExp, value: number][] {
  return Object.keys(config?.raw ?? {}).map((pattern) => {
    const value = config!.number(pattern);
    try {
      return [new RegExp(`(^|.*\\.)(${pattern})$`), value];
    } catch {
      return config!.refuse(`${JSON.stringify(pattern)} is no pattern of names`);
    }
  });
}
