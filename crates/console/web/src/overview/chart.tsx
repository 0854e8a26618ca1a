import { useEffect, useId, useRef } from "preact/hooks";
import UPlot from "uplot";
import type { Minute } from "../api/types";
import { hourMinute } from "../format";
import { useColoursVersion } from "../theme";
import { Column, Table } from "../ui/table";

/** A line or a part of the bars. */
export interface Series {
  name: string;
  tone: "good" | "learner" | "fault" | "first" | "second";
  value: (minute: Minute) => number | null;
}

interface ChartProps {
  title: string;
  minutes: Minute[];
  series: Series[];
  kind: "stacked" | "lines";
  format: (value: number) => string;
  /** The same in a sentence. */
  summary: string;
}

const HEIGHT = 168;

/** A chart with its numbers as a sentence and as a table. */
export function Chart({ title, minutes, series, kind, format, summary }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLUListElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<UPlot>(undefined);
  const shown = useRef(minutes);
  const heading = useId();
  const colours = useColoursVersion();

  useEffect(() => {
    if (!place.current || !legend.current) return;
    const element = place.current;
    const ink = getComputedStyle(element);
    const tones = [...legend.current.querySelectorAll("i")].map((swatch) => getComputedStyle(swatch).backgroundColor);
    const show = (index: number | null | undefined) => {
      if (readout.current) readout.current.textContent = describe(shown.current[index ?? -1], series, format);
    };
    const options = optionsOf({ series, kind, format, tones, ink: ink.color, grid: ink.borderTopColor, show });
    plot.current = new UPlot(
      { ...options, width: element.clientWidth, height: HEIGHT },
      dataOf(shown.current, series, kind),
      element,
    );
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.current?.destroy();
    };
  }, [series, kind, format, colours]);

  useEffect(() => {
    shown.current = minutes;
    plot.current?.setData(dataOf(minutes, series, kind));
  }, [minutes, series, kind]);

  return (
    <figure class="chart" aria-labelledby={heading}>
      <figcaption>
        <h3 id={heading}>{title}</h3>
        <ul class="legend" ref={legend}>
          {series.map(({ name, tone }) => (
            <li key={name}>
              <i class={`swatch ${tone}`} />
              {name}
            </li>
          ))}
        </ul>
        <p class="chart-summary">{summary}</p>
      </figcaption>
      <div class="plot" ref={place} aria-hidden="true" />
      <span class="readout" ref={readout} aria-hidden="true" />
      <details class="as-table">
        <summary>As a table</summary>
        <Table
          caption={`${title}, minute by minute`}
          head={
            <>
              <Column>Minute</Column>
              {series.map(({ name }) => (
                <Column key={name} number>
                  {name}
                </Column>
              ))}
            </>
          }
        >
          {minutes.toReversed().map((minute) => (
            <tr key={minute.at}>
              <th scope="row">{hourMinute(minute.at)}</th>
              {series.map(({ name, value }) => (
                <td key={name} class="number">
                  {text(value(minute), format)}
                </td>
              ))}
            </tr>
          ))}
        </Table>
      </details>
    </figure>
  );
}

function text(value: number | null, format: (value: number) => string): string {
  return value === null ? "–" : format(value);
}

function describe(minute: Minute | undefined, series: Series[], format: (value: number) => string): string {
  if (minute === undefined) return "";
  const values = series.map(({ name, value }) => `${name.toLowerCase()} ${text(value(minute), format)}`);
  return `${hourMinute(minute.at)}: ${values.join(", ")}`;
}

/** Times in seconds, then the values; of stacked series the sums, the whole first. */
function dataOf(minutes: Minute[], series: Series[], kind: ChartProps["kind"]): UPlot.AlignedData {
  const times = minutes.map(({ at }) => Date.parse(at) / 1_000);
  const values = series.map(({ value }) => minutes.map(value));
  if (kind === "lines") return [times, ...values];
  return [times, ...values.map((_, from) => minutes.map((_, at) => total(values.slice(0, from + 1), at))).reverse()];
}

function total(values: (number | null)[][], at: number): number {
  return values.reduce((sum, column) => sum + (column[at] ?? 0), 0);
}

/** The points that no line reaches, because both neighbours are missing. */
function lonePoints(plot: UPlot, seriesIndex: number): number[] {
  const values = plot.data[seriesIndex] ?? [];
  const isMissing = (at: number) => values[at] === null || values[at] === undefined;
  return [...values.keys()].filter((at) => !isMissing(at) && isMissing(at - 1) && isMissing(at + 1));
}

interface Look {
  series: Series[];
  kind: ChartProps["kind"];
  format: (value: number) => string;
  tones: string[];
  ink: string;
  grid: string;
  show: (index: number | null | undefined) => void;
}

function optionsOf({ series, kind, format, tones, ink, grid, show }: Look): Omit<UPlot.Options, "width" | "height"> {
  const isStacked = kind === "stacked";
  const bars = UPlot.paths.bars?.({ size: [0.7, 14], radius: 0.15 });
  const drawn = series.map(({ name }, at) => {
    const colour = tones[at] ?? ink;
    const line = {
      label: name,
      stroke: colour,
      width: 2,
      points: { show: true, size: 5, fill: colour, filter: lonePoints },
    };
    return isStacked
      ? { label: name, fill: colour, width: 0, points: { show: false }, ...(bars && { paths: bars }) }
      : line;
  });
  const axis = { stroke: ink, font: "12px Inter, sans-serif", ticks: { show: false } };
  return {
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: !isStacked }, drag: { x: false, y: false }, sync: { key: "overview" } },
    hooks: { setCursor: [({ cursor }) => show(cursor.idx)] },
    scales: {
      x: {
        time: true,
        // Room for half a bar on both sides.
        ...(isStacked && { range: (_: UPlot, min: number, max: number): UPlot.Range.MinMax => [min - 30, max + 30] }),
      },
      y: { range: (_, __, max) => [0, niceMaximum(max, isStacked)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 70,
        size: 28,
        values: (_, ticks) => ticks.map((tick) => hourMinute(new Date(tick * 1_000))),
      },
      {
        ...axis,
        grid: { stroke: grid, width: 1 },
        space: 36,
        size: isStacked ? 40 : 60,
        incrs: isStacked ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] : TIME_STEPS,
        values: (_, ticks) => ticks.map(format),
      },
    ],
    series: [{}, ...(isStacked ? drawn.reverse() : drawn)],
  };
}

/** Distances of the lines of a time axis, in milliseconds. */
const TIME_STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
  1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000,
];

/** Leaves room above the highest value, and keeps an empty chart from being all lines. */
function niceMaximum(max: number | null, isCount: boolean): number {
  return Math.max((max ?? 0) * 1.08, isCount ? 4 : 100);
}
