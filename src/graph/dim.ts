/**
 * A size in a shape: a number, or an expression over named sizes such as `height` that are known only when the
 * graph runs. Expressions are kept as sums of products, so that equal sizes have equal keys.
 */
export type Dim = number | SymbolicDim;

/** A named size, or the quotient of a size by a number, rounded up. */
type Atom =
  | { readonly kind: "name"; readonly key: string }
  | { readonly kind: "ceil"; readonly key: string; readonly of: SymbolicDim; readonly by: number };

interface Term {
  readonly factor: number;
  readonly atoms: readonly Atom[]; // sorted by key
}

/** A sum of products of named sizes. Build it with {@link namedDim} and the functions below. */
export interface SymbolicDim {
  readonly terms: readonly Term[];
  /** Canonical text: two sizes are equal exactly when their keys are. */
  readonly key: string;
}

const keyOf = (t: Term): string => t.atoms.map((a) => a.key).join("*");

function normalise(terms: readonly Term[]): Dim {
  const sums = new Map<string, Term>();
  for (const t of terms) {
    const key = keyOf(t);
    const factor = (sums.get(key)?.factor ?? 0) + t.factor;
    sums.set(key, { factor, atoms: t.atoms });
  }
  const kept = [...sums].filter(([, t]) => t.factor !== 0).sort(([a], [b]) => (a < b ? -1 : 1));
  if (kept.length === 0) return 0;
  if (kept.length === 1 && kept[0]![0] === "") return kept[0]![1].factor;
  const key = kept.map(([k, t]) => (k === "" ? `${t.factor}` : t.factor === 1 ? k : `${t.factor}*${k}`)).join("+");
  return { terms: kept.map(([, t]) => t), key };
}

const termsOf = (d: Dim): readonly Term[] => (typeof d === "number" ? (d === 0 ? [] : [{ factor: d, atoms: [] }]) : d.terms);

/** A size known only at run time, by name. */
export const namedDim = (name: string): SymbolicDim => ({
  terms: [{ factor: 1, atoms: [{ kind: "name", key: name }] }],
  key: name,
});

export const addDims = (...dims: readonly Dim[]): Dim => normalise(dims.flatMap(termsOf));

export function mulDims(...dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>((product, d) => {
    const pairs = termsOf(product).flatMap((p) =>
      termsOf(d).map((q) => ({
        factor: p.factor * q.factor,
        atoms: [...p.atoms, ...q.atoms].sort((x, y) => (x.key < y.key ? -1 : 1)),
      })),
    );
    return normalise(pairs);
  }, 1);
}

/** a / b where b divides a term by term; undefined where it does not. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  const divisor = termsOf(b);
  if (divisor.length !== 1) return sameDim(a, b) ? 1 : undefined;
  const { factor, atoms } = divisor[0]!;
  const quotient: Term[] = [];
  for (const t of termsOf(a)) {
    const rest = [...t.atoms];
    for (const atom of atoms) {
      const at = rest.findIndex((x) => x.key === atom.key);
      if (at < 0) return undefined;
      rest.splice(at, 1);
    }
    if (t.factor % factor !== 0) return undefined;
    quotient.push({ factor: t.factor / factor, atoms: rest });
  }
  return normalise(quotient);
}

/** ceil(a / by); an exact quotient where a is known to be divisible. */
export function ceilDim(a: Dim, by: number): Dim {
  if (by === 1) return a;
  if (typeof a === "number") return Math.ceil(a / by);
  // ceil((by·q + r) / by) = q + ceil(r / by)
  const whole = divideDims(normalise(a.terms.filter((t) => t.atoms.length > 0)), by);
  if (whole !== undefined) {
    const rest = a.terms.find((t) => t.atoms.length === 0)?.factor ?? 0;
    return addDims(whole, Math.ceil(rest / by));
  }
  return normalise([{ factor: 1, atoms: [{ kind: "ceil", key: `ceil((${a.key})/${by})`, of: a, by }] }]);
}

export const sameDim = (a: Dim, b: Dim): boolean => (typeof a === "number" || typeof b === "number" ? a === b : a.key === b.key);

/** The value of a size, given the values of the names in it. */
export function dimValue(d: Dim, names: ReadonlyMap<string, number>): number {
  if (typeof d === "number") return d;
  const atomValue = (a: Atom): number => {
    if (a.kind === "ceil") return Math.ceil(dimValue(a.of, names) / a.by);
    const value = names.get(a.key);
    if (value === undefined) throw new TypeError(`The size "${a.key}" has no value.`);
    return value;
  };
  return d.terms.reduce((sum, t) => sum + t.atoms.reduce((p, a) => p * atomValue(a), t.factor), 0);
}

/** The operations that a size is computed with, to write it as nodes of a graph: sums and products of names, and quotients rounded up. */
export interface DimVisitor<T> {
  constant(value: number): T;
  name(name: string): T;
  add(a: T, b: T): T;
  mul(a: T, b: T): T;
  ceil(of: T, by: number): T;
}

export function visitDim<T>(d: Dim, v: DimVisitor<T>): T {
  if (typeof d === "number") return v.constant(d);
  const atom = (a: Atom): T => (a.kind === "name" ? v.name(a.key) : v.ceil(visitDim(a.of, v), a.by));
  const term = (t: Term): T => {
    const factors = t.atoms.map(atom);
    if (t.factor !== 1 || factors.length === 0) factors.push(v.constant(t.factor));
    return factors.reduce(v.mul);
  };
  return d.terms.map(term).reduce(v.add);
}

/** For a size such as `8*height`: its name and its factor. */
export function multipleOfName(d: Dim): { readonly name: string; readonly factor: number } | undefined {
  if (typeof d === "number" || d.terms.length !== 1) return undefined;
  const { factor, atoms } = d.terms[0]!;
  const [atom] = atoms;
  return atoms.length === 1 && atom!.kind === "name" ? { name: atom!.key, factor } : undefined;
}
