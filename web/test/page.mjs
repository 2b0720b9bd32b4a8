// Opens the page of a running server in headless Chromium and uses it as a
// person would.   node test/page.mjs URL [SCREENSHOT.png]
import { chromium } from 'playwright-core';

const [url, picture] = process.argv.slice(2);
if (!url) {
  console.error('usage: node test/page.mjs URL [SCREENSHOT.png]');
  process.exit(2);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let failed = 0;
async function check(what, holds) {
  const result = await holds();
  console.log(`${result ? 'ok  ' : 'FAIL'} ${what}`);
  if (!result) failed++;
}

try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 860 } });
  const faults = [];
  const away = [];
  page.on('pageerror', (e) => faults.push(String(e)));
  page.on('console', (m) => m.type() === 'error' && faults.push(m.text()));
  page.on('request', (r) => !r.url().startsWith(url) && !r.url().startsWith('data:') && !r.url().startsWith('blob:') && away.push(r.url()));
  await page.goto(url);
  const cells = () => page.evaluate(() => window.hextideMap.count());
  await page.waitForFunction(() => window.hextideMap.count() > 50, undefined, { timeout: 60_000 });
  await check('cells are on the map', async () => (await cells()) > 50);
  await check('the strip counts events', async () => /[1-9]/.test(await page.textContent('#strip-events')));
  await check('the strip shows the watermark', async () => /\d{4}-\d\d-\d\d/.test(await page.textContent('#strip-watermark')));
  await check('the legend has five ticks', async () => (await page.locator('#legend .ticks span').count()) === 5);

  const columns = await page.locator('#columns option').allTextContents();
  await check('the picker lists the columns', async () => columns.length > 3);
  await page.fill('#filter', columns.at(-1));
  await check('the filter narrows the list', async () => (await page.locator('#columns option').count()) < columns.length);
  await page.fill('#filter', '');
  await page.selectOption('#columns', columns[1]);
  await page.waitForFunction((c) => location.hash.includes(`column=${c}`), columns[1]);
  await check('a chosen column is drawn', async () => (await page.textContent('#about')).includes('cells'));

  const busiest = () => page.evaluate(async () => {
    const column = document.querySelector('#columns').value;
    const answer = await (await fetch('v1/latest', { method: 'POST', body: JSON.stringify({ columns: [column] }) })).json();
    const values = answer.columns[0].integers?.length ? answer.columns[0].integers : answer.columns[0].floats;
    const best = values.map(Number).reduce((b, v, i, all) => (v > all[b] ? i : b), 0);
    return window.hextideMap.project(answer.entities[best].h3);
  });
  for (let tries = 0; tries < 20 && (await page.locator('#cell').isHidden()); tries++) {
    await page.waitForTimeout(1000); // the view flies to the cells; a software renderer takes its time
    const [x, y] = await busiest();
    await page.mouse.click(x, y, { delay: 30 });
  }
  await page.waitForSelector('#cell:not([hidden])', { timeout: 5_000 });
  await page.waitForSelector('#values tr', { timeout: 15_000 });
  await check('a click shows the values of a cell', async () => (await page.locator('#values tr').count()) === columns.length);
  await check('and their history', async () => (await page.locator('#history canvas').count()) === 1);
  if (!(await page.locator('#forecast-section').getAttribute('hidden') === '')) {
    await check('and the forecast against what came', async () => (await page.locator('#forecast canvas').count()) === 1);
  }
  // The first one comes some seconds after the start.
  await page.waitForFunction(() => document.querySelector('#checkpoint').textContent.includes('Checkpoint '), undefined, { timeout: 30_000 }).catch(() => {});
  await check('the last checkpoint is told by its parts', async () => /Checkpoint \d+: .* bytes in \d+ objects, .* new, longest chain \d+; start delay .*commit .*slowest shard \d+/.test(await page.locator('#checkpoint').textContent()));
  await check('nothing is fetched from elsewhere', async () => away.length === 0);
  await check(`no error in the page ${faults.join('; ')}`, async () => faults.length === 0);
  if (picture) await page.screenshot({ path: picture });

  // What follows is meant to fail for a while.
  const notice = (text) => page.waitForFunction((t) => document.querySelector('#notice').textContent.includes(t), text, { timeout: 15_000 });
  await page.route('**/v1/**', (route) => route.abort());
  await notice('does not answer');
  await check('a server that is away is told', async () => true);
  await page.unroute('**/v1/**');
  await page.waitForFunction(() => !document.querySelector('#notice').textContent.includes('does not answer'), undefined, { timeout: 15_000 });
  await check('and one that is back', async () => true);
  await page.route('**/v1/status', async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, lastCheckpointError: 'no space left on device', lastFailure: { epoch: '7', at: new Date().toISOString(), error: 'no space left on device' } } });
  });
  await page.waitForFunction(() => document.querySelector('#strip-last-checkpoint').textContent.includes('no space left'), undefined, { timeout: 15_000 });
  await check('a checkpoint that failed is told', async () => (await page.locator('#failure').textContent()).includes('epoch 7'));
  await page.unroute('**/v1/status');
  await page.route('**/v1/**', (route) => route.abort());
  await notice('does not answer');
  await page.unroute('**/v1/**');
  await page.route('**/v1/describe', async (route) => route.fulfill({ json: { ...(await (await route.fetch()).json()), planHash: 'another' } }), { times: 1 });
  await page.waitForEvent('load', { timeout: 15_000 });
  await check('another definition is read anew', async () => true);
} catch (error) {
  console.log(`FAIL ${error.message}`);
  failed++;
} finally {
  await browser.close();
}
console.log(failed === 0 ? 'the page works' : `${failed} checks failed`);
process.exit(failed === 0 ? 0 : 1);
