// The page: asks the server once a second and draws what it says. What is
// chosen stands in the address, so that it can be shared.
import * as api from './api';
import { Chart, forecast, times } from './chart';
import { CellMap } from './map';
import * as panel from './panel';

const every = 1000; // ms between looks at the server

class Page {
  private column = '';
  private cell = '';
  private lost = false; // the server did not answer when it was last asked
  private about!: api.Description;
  private status?: api.Status;
  private map: CellMap;
  private history = new Chart(panel.element('history'));
  private forecast = new Chart(panel.element('forecast'));

  constructor() {
    this.map = new CellMap(panel.element('map'), (h3) => this.chooseCell(h3));
    Object.assign(window, { hextideMap: this.map }); // for tests of the page
  }

  async start() {
    this.about = await this.firstAnswer();
    document.title = `${this.about.pipeline} - hextide`;
    panel.element('name').textContent = this.about.pipeline;
    this.readAddress();
    this.listen();
    panel.fillColumns(this.about.columns, '', this.column);
    for (;;) {
      await this.look();
      await new Promise((done) => setTimeout(done, every));
    }
  }

  // firstAnswer waits for a server that is still starting.
  private async firstAnswer(): Promise<api.Description> {
    for (;;) {
      try {
        return await api.describe();
      } catch (error) {
        this.missing(error);
        await new Promise((done) => setTimeout(done, every));
      }
    }
  }

  private missing(error: unknown) {
    this.lost = true;
    panel.notice(`The server does not answer: ${error instanceof Error ? error.message : error}`);
  }

  // foundAgain begins anew where the server came back with another definition.
  private async foundAgain() {
    const hash = (await api.describe()).planHash;
    this.lost = false;
    if (hash !== this.about.planHash) location.reload();
  }

  private get open(): boolean {
    return panel.element<HTMLInputElement>('open').checked;
  }

  private readAddress() {
    const chosen = new URLSearchParams(location.hash.slice(1));
    const wanted = chosen.get('column') ?? '';
    this.column = this.about.columns.some((c) => c.name === wanted) ? wanted : this.about.columns[0]?.name ?? '';
    panel.element<HTMLInputElement>('open').checked = chosen.get('open') === '1';
    if (chosen.get('cell')) this.chooseCell(chosen.get('cell')!);
  }

  private writeAddress() {
    const chosen = new URLSearchParams({ column: this.column });
    if (this.cell) chosen.set('cell', this.cell);
    if (this.open) chosen.set('open', '1');
    window.history.replaceState(null, '', `#${chosen}`);
  }

  private listen() {
    const columns = panel.element<HTMLSelectElement>('columns');
    columns.addEventListener('change', () => {
      this.column = columns.value;
      this.chosen();
    });
    const filter = panel.element<HTMLInputElement>('filter');
    filter.addEventListener('input', () => panel.fillColumns(this.about.columns, filter.value, this.column));
    panel.element('open').addEventListener('change', () => this.chosen());
    panel.element('close').addEventListener('click', () => this.chooseCell(''));
  }

  private chooseCell(h3: string) {
    this.cell = h3;
    panel.element('cell').hidden = h3 === '';
    this.map.choose(h3);
    this.chosen();
  }

  private chosen() {
    this.writeAddress();
    void this.look();
  }

  // look asks for everything that the page shows.
  private async look() {
    try {
      if (this.lost) await this.foundAgain();
      const column = this.column;
      const [status, latest] = await Promise.all([api.status(), api.latest(column, this.open)]);
      this.status = status;
      panel.strip(status);
      panel.checkpoints(status.checkpoints, status.lastFailure);
      if (column !== this.column) return; // another was chosen meanwhile
      panel.legend(this.map.show(latest, column));
      const about = this.about.columns.find((c) => c.name === column);
      const until = about?.incompleteUntil ? ` It was added not long ago and is incomplete until ${about.incompleteUntil}.` : '';
      panel.element('about').textContent = `${about?.description ?? ''} ${latest.entities.length.toLocaleString('en')} cells.${until}`;
      if (this.cell) await this.lookAtCell(this.cell, column);
      panel.notice(latest.entities.length === 0 ? 'No window has closed yet.' : '');
    } catch (error) {
      this.missing(error);
    }
  }

  private async lookAtCell(h3: string, column: string) {
    const model = this.about.models[0];
    const columns = model ? [...new Set([column, model.target, model.name, `${model.name}_lo`, `${model.name}_hi`, `${model.name}_at`])] : [column];
    const [row, rows] = await Promise.all([api.lookup(h3, this.open), api.history(h3, columns)]);
    if (h3 !== this.cell) return;
    panel.cell(row, column);
    panel.element('history-title').textContent = column;
    this.history.draw(times(rows), [{ label: column, color: '#58c4dd', values: rows.values.get(column) ?? [] }]);
    panel.element('forecast-section').hidden = model === undefined;
    if (model) this.drawForecast(rows, model);
  }

  private drawForecast(rows: api.Rows, model: api.ModelInfo) {
    const f = forecast(rows, model.name, model.target, api.seconds(model.window));
    panel.element('forecast-title').textContent = `${model.name}: forecast against ${model.target}`;
    this.forecast.draw(f.x, [
      { label: 'actual', color: '#ffb454', values: f.actual },
      { label: 'forecast', color: '#58c4dd', values: f.mean, dash: [6, 4] },
      { label: 'high', color: '#58c4dd55', values: f.high, fillTo: 3 },
      { label: 'low', color: '#58c4dd55', values: f.low },
    ]);
    panel.score(this.status?.scores.find((s) => s.model === model.name));
  }
}

new Page().start().catch((error) => panel.notice(`The page cannot start: ${error.message}`));
