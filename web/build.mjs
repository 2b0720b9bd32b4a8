// Builds the page into dist/, which the binary embeds.
//   node build.mjs           build
//   node build.mjs --check   build beside, and fail where dist/ is not what the source gives
//   node build.mjs --tests   build the unit tests into .tests/
import { build } from 'esbuild';
import { cp, mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const common = { bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning', legalComments: 'none' };

async function page(out) {
  await mkdir(out, { recursive: true });
  await build({ ...common, entryPoints: ['src/main.ts'], outfile: join(out, 'page.js'), minify: true, define: { 'process.env.NODE_ENV': '"production"' } });
  await build({ ...common, entryPoints: ['src/style.css'], outfile: join(out, 'page.css'), minify: true });
  await cp('src/index.html', join(out, 'index.html'));
}

async function same(a, b) {
  const names = (await readdir(a)).sort();
  if (names.join() !== (await readdir(b)).sort().join()) return false;
  for (const name of names) {
    if (!(await readFile(join(a, name))).equals(await readFile(join(b, name)))) return false;
  }
  return true;
}

if (process.argv.includes('--tests')) {
  await rm('.tests', { recursive: true, force: true });
  const tests = (await readdir('test')).filter((name) => name.endsWith('.test.ts')).map((name) => join('test', name));
  await build({ ...common, entryPoints: tests, outdir: '.tests', platform: 'node', outExtension: { '.js': '.mjs' } });
} else if (process.argv.includes('--check')) {
  const fresh = await mkdtemp(join(tmpdir(), 'hextide-page-'));
  await page(fresh);
  const matches = await same(fresh, 'dist');
  await rm(fresh, { recursive: true });
  if (!matches) {
    console.error('web/dist is not what web/src gives: run "npm run build" in web/ and commit the result');
    process.exit(1);
  }
  console.log('web/dist matches its source');
} else {
  await rm('dist', { recursive: true, force: true });
  await page('dist');
}
