/** What the routes answer, as http_api.md describes it, for the type checker; nothing of it runs. */

/** NaN is null, the infinities are words. */
export type Num = number | null | "inf" | "-inf";
export type Severity = "error" | "warning" | "info";
export type Setting = string | number | boolean | null;

export interface Parameter {
  name: string;
  layer: string;
  shape: number[];
  size: number;
  dtype: string;
  role: string;
}

export interface Share {
  value: number;
  low: number;
  high: number;
}

export interface Phrase {
  text: string;
  look: "plain" | "quiet" | "warning";
}

/** `/tables` */
export interface Tables {
  scalars: { tag: string; label: string; unit: string; scale: "linear" | "log"; meaning: string }[];
  statistics: { name: string; label: string; meaning: string; scale: string }[];
  measures: { name: string; label: string; scale: string }[];
  vague: number;
  samples: Record<string, number>;
}

/** `/status` */
export interface Status {
  run: string;
  gradients: boolean;
  last_step: number | null;
  last_wall_time: number | null;
  state: State | null;
  scalar_tags: string[];
  overview: string;
  revisions: Record<"scalars" | "layers" | "histograms" | "curvature" | "landscape" | "alerts" | "notes", string>;
}

export interface State {
  status: string;
  words: string;
  alive: boolean;
  step: number;
  steps: number;
  epoch: number;
  epochs: number;
  host: string;
  pid: number;
  hparams: Record<string, Setting>;
  versions: Record<string, string>;
  resources_words: string;
}

/** A row of `/overview`. */
export interface Row {
  name: string;
  short: string;
  gradients: boolean;
  state: { status: string; words: string; alive: boolean } | null;
  step: number;
  steps: number;
  seconds_left: number | null;
  pace: Num;
  loss: Num;
  val_loss: Num;
  trend: Num[];
  norm: Num;
  norm_course: string;
  update_ratio: Num;
  stability: Num;
  standing: "" | "below" | "at" | "beyond";
  stability_age: number;
  stale: boolean;
  severity: Severity | "";
  health: string;
  since: number | null;
  headline: string;
  last_sign: number;
  hparams: Record<string, Setting>;
}

export interface Story {
  headline: string;
  severity: Severity;
  is_open: boolean;
  advice: string;
  next_advice: string;
  alerts: [rule: string, first: number][];
}

export interface Verdict {
  run: string;
  words: { label: string; text: string; look: string }[];
  stories: Story[];
  headlined: number | null;
  hparams: Record<string, Setting>;
}

/** `/overview` */
export interface Overview {
  complete: boolean;
  judged: number;
  stored: number;
  hparams: string[];
  ill: Record<string, number>;
  runs: Row[];
  verdict: Verdict | null;
  filter: string;
}

export interface Series {
  run: string;
  tag: string;
  steps: number[];
  values: Num[];
  wall_times?: number[];
  stored: number;
  every_step: boolean;
  sampled: boolean;
}

/** `/scalars` */
export interface Scalars {
  run: string;
  series: Series[];
}

export interface TreeNode {
  path: string;
  label: string;
  rows: number[];
  children: TreeNode[];
}

export interface Measure {
  name?: string;
  label?: string;
  scale: string;
  worst: "largest" | "smallest" | "far";
  centre: number;
  zero_is_worse: boolean;
  none_is_worse: boolean;
}

/** `/layers?format=binary`: `values` are flat, row by row. */
export interface Layers {
  run: string;
  statistic: string;
  statistics: string[];
  parameters: Parameter[];
  row: number;
  rows: number;
  all: number;
  numbers: number[];
  first_steps: number[];
  steps: number[];
  values: Float32Array;
  nonfinite: [row: number, column: number][];
  measure: Measure | null;
  worst: number[];
  change: number[];
  rounding: number[];
  tree: TreeNode[];
  stored: number;
  sampled: boolean;
  problems: string[];
}

/** `/compare?format=binary` */
export interface Compare {
  run: string;
  with: string;
  statistic: string;
  statistics: string[];
  difference: "log10" | "difference";
  parameters: { name: string; layer: string; median: Num; apart: Num; farthest: { step: number; value: Num } | null }[];
  stored: number;
  only: { run: string[]; with: string[] };
  first_steps: number[];
  steps: number[];
  values: Float32Array;
  sampled: boolean;
}

/** `/settings` */
export interface Settings {
  hparams: { name: string; values: (Setting | undefined)[] }[];
  same_hparams: number;
  scalars: { tag: string; label: string; values: Num[]; steps: number[]; ratio: Num }[];
}

/** `/parameter` */
export interface OneParameter {
  run: string;
  parameter: Parameter;
  steps: number[];
  statistics: Record<string, Num[]>;
  norms: { steps: number[]; values: Num[]; zeros: [number, number][]; lowest: number | null };
  stored: number;
}

/** `/histogram` */
export interface Histogram {
  run: string;
  parameter: Parameter;
  edges: number[];
  steps: number[];
  counts: number[][];
  stored: number;
  problems: string[];
}

export interface Eigenvalue {
  value: Num;
  residual: Num;
}

export interface Estimate {
  step: number;
  eigenvalues: Eigenvalue[];
  converged: boolean;
  hvps: number;
  seconds: Num;
  loss: Num;
  samples: number;
  stability_threshold: Num;
  threshold_formula: string;
  preconditioned: Eigenvalue | null;
  stability: Num;
  standing: string;
  trace: Num;
  trace_error: Num;
  method: string;
  minimum_ratio: Share | null;
  negative_fraction: Share | null;
  zero_fraction: Share | null;
}

/** `/curvature` */
export interface Curvature {
  run: string;
  estimates: Estimate[];
  age: { steps: number; stale: boolean } | null;
  density_steps: number[];
  stored: number;
  problems: string[];
}

/** `/density` */
export interface Density {
  run: string;
  density: { step: number; grid: Num[]; density: Num[] } | null;
}

export interface Alert {
  rule: string;
  severity: Severity;
  state: "open" | "closed";
  parameters: string[];
  first_step: number;
  last_step: number;
  evidence: string;
  causes: string[];
  advice: string;
  next_advice: string;
  headline: string;
  shows: string;
  threshold: number | null;
}

/** `/alerts` */
export interface Alerts {
  complete: boolean;
  rules: string[];
  watched: boolean;
  headlined: number | null;
  stories: Story[];
  alerts: Alert[];
  not_judged: string[];
  stored: number;
  sampled: boolean;
  problems: string[];
}

/** `/notes` */
export interface Notes {
  ended: number | null;
  stored: number;
  notes: { step: number; text: string }[];
}

/** `/findings` */
export interface Findings {
  findings: { name: string; kind: string; step: number; wall_time: number }[];
  stored: number;
  trajectories: string;
  nothing: string[];
  problems: string[];
}

export interface FindingAxis {
  label: string;
  length: Num;
  coordinates: number[];
}

interface AnyFinding {
  run: string;
  name: string;
  step: number;
  wall_time: number;
  headline: string;
  words: Phrase[];
}

/** `/finding` of a line or a plane: of a line values are [m], of a plane [first axis][second axis]. */
interface Surface<Values, Place> extends AnyFinding {
  axes: FindingAxis[];
  points: number[];
  loss: Values;
  gradient_norm: Values | null;
  interpolated: Place[];
  log: { loss: boolean; gradient_norm: boolean };
  contours: number;
  centre_loss: Num;
  lowest: { loss: Num; place: number[] } | null;
  barrier: Num;
  path: { steps: number[]; places: Num[][]; distances: Num[] };
  explained: number[];
  samples: number;
}
export interface Plane extends Surface<Num[][], [number, number]> {
  kind: "plane";
}
export interface Line extends Surface<Num[], [number]> {
  kind: "line";
}

export interface Spectrum {
  title: string;
  eigenvalues: Num[];
  errors: Num[];
}

export interface Points extends AnyFinding {
  kind: "critical points";
  columns: string[];
  rows: { cells: string[]; loss: Num; minimum_ratio: Share | null }[];
  stored: number;
  chosen: number;
  spectrum: Spectrum;
}

export interface Check extends AnyFinding {
  kind: "gradient check";
  layers: { name: string; norm: Num; noise: Num }[];
  stored: number;
  norm: Num;
  noise: Num;
}

export type Finding = Plane | Line | Points | Check;

export interface Path {
  name: string;
  words: string;
  from_start: number;
  steps: number[];
  places: [Num, Num][];
  losses: Num[];
}

/** `/trajectories` */
export interface Trajectories {
  run: string;
  layer: string;
  layers: string[];
  with_path: string[];
  runs: Path[];
  axes: [string, string];
  explained: number[];
  distances: Num[][];
  error: number;
  words: Phrase[];
  left_out: { name: string; reason: string }[];
  thinned: boolean;
}

/** A question of the tab, with the revision of the log that its answer depends on. */
export interface Question<Answer> {
  key: string;
  revision: string;
  request: () => Promise<Answer>;
}

/** What the panels see of the app. */
export interface App {
  run: string;
  parameter: string | null;
  status: Status;
  runs: Overview & { stamp: number };
  state: import("./static/pure/address.js").State;
  revisions: Status["revisions"];
  overviewRevision: string;
  alerts?: Alerts;
  watched: boolean;
  mainTags: string[];
  view: import("./static/views.js").View;
  shown: string[];
  panels: Record<string, any>; // each has its own parts
  board: HTMLElement;
  ask: import("./static/ask.js").Ask;
  painter: import("./static/painter.js").Painter;
  timeline: import("./static/timeline.js").Timeline;
  chosen: import("./static/chosen.js").Chosen;
  header: import("./static/views/header.js").Header;
  strip: import("./static/strip.js").Strip;
  change(patch: Partial<App["state"]>): unknown;
  flip(id: string): unknown;
  refresh(): unknown;
  load(): Promise<void>;
  sort?: () => unknown;
  mark?: (name: string) => unknown;
}
