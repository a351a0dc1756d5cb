import { Resvg } from "@resvg/resvg-js";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { font } from "../../src/image/text-svg.ts";
import type { SingleFigure } from "../../src/miniature/score.ts";
import type { Configuration } from "./configurations.ts";
import { type Row, timeOf } from "./results.ts";

const PANELS: readonly (readonly [SingleFigure, string])[] = [
  ["faceSimShare", "Likeness, difference to the reference"],
  ["textAccuracy", "Text found, difference to the reference"],
];
const FAMILIES = [
  "none",
  "DeepCache",
  "T-GATE",
  "token downsampling",
  "guidance end",
  "DeepCache, guidance end",
  "DeepCache, token downsampling, guidance end",
];
const TICKS = [0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2];
/** Okabe and Ito's colours, distinguishable for most people. */
const COLOURS = ["#16181d", "#0072b2", "#d55e00", "#56b4e9", "#009e73", "#cc79a7", "#e69f00"];

/** Draws time against quality as SVG, one panel per figure: points with the standard error of the difference, labelled by steps. */
export function chartSvg(rows: readonly Row[]): Promise<string> {
  const { spec } = compile(chart(rows));
  return new View(parse(spec), { renderer: "none" }).toSVG();
}

export const chartPng = (svg: string): Uint8Array =>
  new Resvg(svg, { font: font(), background: "white", fitTo: { mode: "zoom", value: 2 } }).render().asPng();

function chart(rows: readonly Row[]): TopLevelSpec {
  const font = "Inter, sans-serif";
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    padding: 16,
    data: { values: rows.map(pointOf) },
    title: {
      text: "Time saved, and its cost in likeness and text",
      subtitle: [
        "Numbers are steps; in brackets DeepCache's interval, T-GATE's first evaluation, or else the factor of token downsampling.",
        "Guidance ends after half of the steps. Lines are standard errors.",
      ],
      anchor: "start",
      fontSize: 15,
      fontWeight: "normal",
      subtitleFontSize: 12,
      offset: 16,
    },
    vconcat: PANELS.map(([name, title]) => panel(name, title)),
    config: {
      font,
      axis: { labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal", gridColor: "#e6e8ec" },
      legend: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 0, symbolOpacity: 1 },
      view: { stroke: null },
    },
  };
}

type Panel = Extract<TopLevelSpec, { vconcat: unknown }>["vconcat"][number];

function panel(name: SingleFigure, title: string): Panel {
  const x = {
    field: "time",
    type: "quantitative" as const,
    title: "Sampling time, share of the reference's",
    scale: { type: "log" as const, nice: false, padding: 24 },
    axis: { format: ".0%", values: TICKS },
  };
  const axis = { title, format: "+.2f", labelExpr: "datum.value === 0 ? '0' : datum.label" } as const;
  const y = { field: name, type: "quantitative", title, scale: { zero: true }, axis } as const;
  const color = { field: "family", type: "nominal", title: "shortcut", scale: { domain: FAMILIES, range: COLOURS } } as const;
  const shape = {
    field: "precision",
    type: "nominal",
    title: "precision",
    scale: { domain: ["f32", "int8"], range: ["circle", "triangle-up"] },
  } as const;
  return {
    width: 720,
    height: 320,
    layer: [
      { mark: { type: "rule", color: "#9aa0aa" }, encoding: { y: { datum: 0 } } },
      {
        mark: { type: "rule", opacity: 0.45 },
        encoding: { x, y: { ...y, field: `${name}Low` }, y2: { field: `${name}High` }, color },
      },
      { mark: { type: "point", filled: true, size: 70, opacity: 1 }, encoding: { x, y, color, shape } },
      {
        mark: { type: "text", dx: 8, align: "left", baseline: "middle", fontSize: 11 },
        encoding: { x, y, color, text: { field: "label", type: "nominal" } },
      },
    ],
  };
}

function pointOf(row: Row): Record<string, string | number> {
  const { configuration, figures } = row;
  const values = PANELS.map(([name]) => {
    const { difference, differenceError } = figures[name];
    return { [name]: difference, [`${name}Low`]: difference - differenceError, [`${name}High`]: difference + differenceError };
  });
  return Object.assign(
    { precision: configuration.precision, label: labelOf(configuration), family: familyOf(configuration), time: timeOf(row) },
    ...values,
  );
}

function labelOf({ sampling: { numInferenceSteps, deepCache, tGate, tokenDownsampling } }: Configuration): string {
  const at = deepCache ?? tGate ?? tokenDownsampling;
  return `${numInferenceSteps}${at === undefined ? "" : ` (${at})`}`;
}

function familyOf({ sampling: { deepCache, tGate, tokenDownsampling, guidanceEnd } }: Configuration): string {
  const parts = [
    deepCache && "DeepCache",
    tGate && "T-GATE",
    tokenDownsampling && "token downsampling",
    guidanceEnd !== undefined && "guidance end",
  ];
  return parts.filter((part) => part).join(", ") || "none";
}
