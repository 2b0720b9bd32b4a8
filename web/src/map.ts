// The map: one hexagon a cell, coloured by the chosen column; beneath, the
// outlines of coarser cells instead of tiles, so that nothing has to be
// fetched from anywhere.
import { Deck, FlyToInterpolator, MapView } from '@deck.gl/core';
import { H3HexagonLayer } from '@deck.gl/geo-layers';
import { PolygonLayer } from '@deck.gl/layers';
import { cellToBoundary, cellToLatLng, cellToParent, getResolution } from 'h3-js';
import type { Rows } from './api';
import { ramp, scale, share, short, type Scale } from './color';

interface Cell {
  h3: string;
  value: number | null;
}

const coarser = 3; // resolutions between a cell and the outlines drawn beneath

export class CellMap {
  private deck: Deck<MapView>;
  private placed = false;
  private cells: Cell[] = [];
  private range: Scale = { low: 0, high: 1 };
  private column = '';
  private chosen = '';

  constructor(parent: HTMLDivElement, private onChoose: (h3: string) => void) {
    this.deck = new Deck({
      parent,
      views: new MapView({ repeat: true }),
      initialViewState: { longitude: 0, latitude: 20, zoom: 1 },
      controller: true,
      layers: [],
      pickingRadius: 3,
      // A slow machine may draw for longer than the usual 250 ms between press and release.
      eventRecognizerOptions: { click: { time: 2000 } },
      getTooltip: ({ object }: { object?: Cell }) => (object && 'value' in object
        ? { text: `${object.h3}\n${this.column} ${object.value === null ? 'null' : short(object.value)}` } : null),
      onClick: ({ object }: { object?: Cell }) => { if (object && 'value' in object) this.onChoose(object.h3); },
      getCursor: ({ isHovering, isDragging }) => (isDragging ? 'grabbing' : isHovering ? 'pointer' : 'grab'),
    });
  }

  // show draws the rows of one column and returns the scale of the colours.
  show(rows: Rows, column: string): Scale {
    const values = rows.values.get(column) ?? [];
    this.column = column;
    this.cells = rows.entities.map((e, i) => ({ h3: e.h3, value: values[i] ?? null }));
    this.range = scale(values);
    if (!this.placed && this.cells.length > 0) this.place();
    this.draw();
    return this.range;
  }

  choose(h3: string) {
    this.chosen = h3;
    this.draw();
  }

  // count is how many cells are drawn.
  count(): number {
    return this.cells.length;
  }

  // project is where a cell's centre is on the page, in pixels.
  project(h3: string): [number, number] | undefined {
    const view = this.deck.getViewports()[0];
    if (!view) return undefined;
    const [lat, lng] = cellToLatLng(h3);
    const [x, y] = view.project([lng, lat]);
    const box = (this.deck.getCanvas() as HTMLCanvasElement).getBoundingClientRect();
    return [box.left + x, box.top + y];
  }

  // place moves the view to where most of the counts are (weighted quantiles,
  // which strays do not move).
  private place() {
    const weighted = this.cells.map((c) => ({ at: cellToLatLng(c.h3), weight: Math.max(0, c.value ?? 0) + 1e-6 }));
    const total = weighted.reduce((sum, c) => sum + c.weight, 0);
    const quantile = (k: 0 | 1, q: number) => {
      const sorted = [...weighted].sort((a, b) => a.at[k] - b.at[k]);
      let sum = 0;
      for (const c of sorted) {
        sum += c.weight;
        if (sum >= q * total) return c.at[k];
      }
      return sorted[sorted.length - 1].at[k];
    };
    const span = Math.max(0.02, quantile(1, 0.9) - quantile(1, 0.1), 1.3 * (quantile(0, 0.9) - quantile(0, 0.1)));
    this.deck.setProps({
      initialViewState: {
        latitude: quantile(0, 0.5), longitude: quantile(1, 0.5), zoom: Math.max(1, Math.min(14, Math.log2(210 / span))), pitch: 0,
        transitionDuration: 500, transitionInterpolator: new FlyToInterpolator(),
      },
    });
    this.placed = true;
  }

  private draw() {
    this.deck.setProps({ layers: [this.outlines(), this.hexagons()] });
  }

  private outlines() {
    const below = new Set<string>();
    for (const { h3 } of this.cells) below.add(cellToParent(h3, Math.max(0, getResolution(h3) - coarser)));
    return new PolygonLayer<string>({
      id: 'outlines', data: [...below], getPolygon: (h3) => cellToBoundary(h3, true),
      stroked: true, filled: true, getFillColor: [25, 34, 45], getLineColor: [58, 74, 92], getLineWidth: 1, lineWidthUnits: 'pixels',
    });
  }

  private hexagons() {
    return new H3HexagonLayer<Cell>({
      id: 'cells', data: this.cells, pickable: true, extruded: false, stroked: true, filled: true, highPrecision: 'auto',
      getHexagon: (c) => c.h3,
      getFillColor: (c) => (c.value === null ? [90, 100, 110, 60] : [...ramp(share(this.range, c.value)), 215]),
      getLineColor: (c) => (c.h3 === this.chosen ? [255, 255, 255, 255] : [14, 20, 27, 90]),
      getLineWidth: (c) => (c.h3 === this.chosen ? 3 : 0.5),
      lineWidthUnits: 'pixels',
      updateTriggers: { getFillColor: [this.range, this.column], getLineColor: this.chosen, getLineWidth: this.chosen },
    });
  }
}
