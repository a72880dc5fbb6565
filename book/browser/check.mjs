// Opens every page of the built book in Chromium, as a file: no server, so nothing may need one.
//
//   node check.mjs [--book DIR] [--shots DIR] [--only PART]… [--page PATH]…
//
// Fails on a console error, a request to elsewhere, a page that moves sideways, what axe-core finds, a question that can't be answered by
// keyboard, a language link that leads to another page, a page that is not among the first three of a search (queries/).

import { createRequire } from "node:module";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
    options: { book: { type: "string" }, shots: { type: "string" }, only: { type: "string", multiple: true }, page: { type: "string", multiple: true } },
});
const book = resolve(options.book ?? join(here, "../../target/book"));

const LANGUAGES = ["en", "ko"];
const THEMES = ["light", "dark"];
// As in book/builder/src/shown.rs, with what the scripts add.
const MOST_WORDS = 2500;
// Bytes of the player's script.
const MOST_PLAYER = 40_000;
const WIDTHS = [320, 390, 600, 768, 1080, 1280, 1600];
// Where axe looks: at every page in one way, at one page of each kind in all.
const LOOKED_AT = { en: ["light", 1280], ko: ["dark", 390] };
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// Debian's chromium in a container or CI, with all that phones home left out.
const FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
];

// Milliseconds. Several windows share two processors in CI.
const PATIENCE = 90_000;
const WINDOWS = 2;

const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);
const url = (page, fragment = "") => pathToFileURL(join(book, page)).href + fragment;

function pagesOf(language) {
    const files = readdirSync(join(book, language), { recursive: true }).filter((file) => file.endsWith(".html"));
    return files.map((file) => join(language, file)).sort();
}

async function openBrowser() {
    const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
    if (!executablePath) throw new Error("Chromium is missing. Install chromium");
    return chromium.launch({ executablePath, args: FLAGS });
}

// A window in one theme and width, which reports whatever goes wrong in it.
async function openWindow(browser, theme, width) {
    const context = await browser.newContext({
        viewport: { width, height: 900 },
        colorScheme: theme === "light" ? "light" : "dark",
    });
    await context.addInitScript((name) => localStorage.setItem("book-theme", name), theme);
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const where = () => `${relative(book, fileURLToPath(page.url().split("#")[0]))} (${theme}, ${width})`;
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) fault(where(), message.text());
    });
    page.on("pageerror", (error) => fault(where(), error.message));
    page.on("request", (request) => {
        if (!/^(?:file|data|blob):/.test(request.url())) fault(where(), `asks for ${request.url()}`);
    });
    page.on("requestfailed", (request) => {
        // The next page was opened before all of this one was there.
        if (request.failure().errorText !== "net::ERR_ABORTED") fault(where(), `did not get ${request.url()}`);
    });
    return page;
}

// What moves sideways though it may not: the page itself, or the column that the text is in.
function sideways() {
    const boxes = [["page", document.documentElement], ["body", document.body], ["column", document.querySelector(".column")]];
    return boxes.filter(([, box]) => box.scrollWidth > box.clientWidth + 1)
        .map(([name, box]) => `the ${name} is ${box.scrollWidth} wide in ${box.clientWidth}`);
}

// On a narrow screen: what is cut off or parted at a line's end that belongs together, and letters too small to read.
function badlyBroken() {
    const wrong = [];
    // Letters of two fonts in one line don't end at quite the same height.
    const lines = (range) => {
        const ends = [...range.getClientRects()].filter((box) => box.width > 0).map((box) => box.bottom).sort((a, b) => a - b);
        return ends.filter((end, n) => n === 0 || end - ends[n - 1] > 8).length;
    };
    for (const flag of document.querySelectorAll("main .flag")) {
        if (flag.getClientRects().length > 1) wrong.push(`a flag in two lines: ${flag.textContent}`);
    }
    for (const cell of document.querySelectorAll("main td")) {
        if (cell.getBoundingClientRect().right > innerWidth + 1) wrong.push(`a cell off the screen: ${cell.textContent.slice(0, 40)}`);
    }
    for (const figure of document.querySelectorAll("main figure")) {
        for (const box of [figure, ...figure.querySelectorAll(".narrow, .narrow *")]) {
            if (box.scrollWidth > box.clientWidth + 1 && box.clientWidth > 0) wrong.push(`${figure.id} moves sideways: ${box.className} ${box.textContent.slice(0, 40)}`);
        }
        // A half shows the letters of its drawing in its own scale.
        const drawn = [...figure.querySelectorAll(":scope > svg:not(.half) text")].map((text) => parseFloat(getComputedStyle(text).fontSize));
        const scales = [...figure.querySelectorAll("svg")].filter((svg) => svg.checkVisibility()).map((svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width);
        const written = [...figure.querySelectorAll(".narrow *")].filter((box) => box.checkVisibility()).map((box) => parseFloat(getComputedStyle(box).fontSize));
        const smallest = Math.min(...written, ...scales.map((scale) => scale * Math.min(...drawn)));
        if (!(Math.round(smallest) >= 12 && smallest < Infinity)) wrong.push(`${figure.id}: letters of ${smallest}`);
    }
    const range = document.createRange();
    const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    while (document.documentElement.lang === "ko" && texts.nextNode()) {
        const { data, parentElement: element } = texts.currentNode;
        if (element.closest("pre, svg, code, script") || !element.checkVisibility()) continue;
        for (const word of data.matchAll(/[)\]”’]\u2060?[가-힣]+|[가-힣]{2,8}/g)) {
            range.setStart(texts.currentNode, word.index);
            range.setEnd(texts.currentNode, word.index + word[0].length);
            if (lines(range) <= 1) continue;
            // What is longer than a line has to be parted somewhere.
            const from = data.slice(0, word.index).search(/\S*$/);
            range.setStart(texts.currentNode, from);
            range.setEnd(texts.currentNode, word.index + data.slice(word.index).search(/\s|$/));
            const length = [...range.getClientRects()].reduce((sum, box) => sum + box.width, 0);
            if (length < element.closest("p, li, td, dd, summary, h1, h2, h3, h4, div").clientWidth - 40) wrong.push(`a word in two lines: ${word[0]}: …${data.slice(Math.max(word.index - 20, 0), word.index + 20)}…`);
        }
    }
    return wrong.slice(0, 5);
}

// Korean words that a screen reader would speak as English.
function unmarked() {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const wrong = [];
    while (texts.nextNode()) {
        const { parentElement: element, data } = texts.currentNode;
        if (/[가-힣]/.test(data) && !element.closest("script, style") && !element.closest("[lang]").lang.startsWith("ko")) wrong.push(`not marked as Korean: ${data}`);
    }
    return wrong;
}

// What axe-core finds, with the first place of each kind.
async function violations(page) {
    if (!await page.evaluate(() => window.axe)) await page.evaluate(AXE);
    return page.evaluate(async () => {
        const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false });
        return violations.map(({ id, help, nodes }) =>
            `axe ${id}: ${help}, ${nodes.length} times: ${nodes[0].html.slice(0, 160)} ${nodes[0].any[0]?.message ?? ""}`);
    });
}

async function look(page, path) {
    await page.goto(url(path));
    const language = path.split("/")[0];
    const lang = await page.evaluate(() => document.documentElement.lang);
    if (lang !== language) fault(path, `its language is ${lang}`);
    for (const what of await page.evaluate(unmarked)) fault(path, what);
    for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        for (const what of await page.evaluate(sideways)) fault(`${path} (${width})`, what);
        if (width > 600) continue;
        for (const what of await page.evaluate(badlyBroken)) fault(`${path} (${width})`, what);
    }
    // All pages in one take axe minutes, and have nothing that the pages don't have.
    if (path.endsWith("print.html")) return;
    const words = await page.evaluate(() => document.querySelector("main").innerText.split(/\s+/).filter(Boolean).length);
    if (words > MOST_WORDS) fault(path, `shows ${words} words`);
    for (const [theme, width] of isFirstOfItsKind(path) ? both(THEMES, [390, 1280]) : [LOOKED_AT[language]]) {
        await page.setViewportSize({ width, height: 900 });
        await page.evaluate((theme) => document.documentElement.classList.replace(theme === "dark" ? "light" : "dark", theme), theme);
        for (const what of await violations(page)) fault(`${path} (${theme}, ${width})`, what);
        if (options.shots) {
            const name = `${path.replaceAll("/", "-").replace(".html", "")}-${theme}-${width}.png`;
            await page.screenshot({ path: join(options.shots, name), fullPage: true });
        }
    }
}

const both = (some, others) => some.flatMap((one) => others.map((other) => [one, other]));
const KINDS = ["index", "start/setup", "machines/02-container", "build/03-pivot-root", "own/03-pivot-root", "docker/02-layers", "reference/glossary"];
const isFirstOfItsKind = (path) => KINDS.some((kind) => path.endsWith(`${kind}.html`));

// Every question by keyboard: moving with the arrows is no answer, Enter is; one choice is right.
async function answer(page, path) {
    await page.goto(url(path));
    const quizzes = page.locator(".quiz");
    for (let n = 0; n < await quizzes.count(); n++) {
        const quiz = quizzes.nth(n);
        const name = await quiz.locator("input").first().getAttribute("name");
        if (await quiz.locator(".why").isVisible()) fault(path, `${name}: the answer is there before the question`);
        const choices = await quiz.locator("input").count();
        await quiz.locator("input").first().focus();
        await page.keyboard.press("Space");
        let right = await quiz.evaluate((node) => node.classList.contains("answered")) ? 1 : 0;
        for (let choice = 1; choice < choices && !right; choice++) {
            const before = await quiz.locator(".verdict").textContent();
            await page.keyboard.press("ArrowDown");
            if (await quiz.locator(".verdict").textContent() !== before) fault(path, `${name}: an arrow answers`);
            await page.keyboard.press("Enter");
            right += await quiz.evaluate((node) => node.classList.contains("answered")) ? 1 : 0;
        }
        if (right !== 1) fault(path, `${name}: no choice is right`);
        else if (!await quiz.locator(".why p").last().isVisible()) fault(path, `${name}: it does not say why`);
    }
    return quizzes.count();
}

async function switchLanguage(page) {
    for (const [from, to] of [["en", "ko"], ["ko", "en"]]) {
        await page.goto(url(`${from}/build/03-pivot-root.html`, "#call-pivot"));
        await page.locator("a.book-language").click();
        await page.waitForURL(url(`${to}/build/03-pivot-root.html`, "#call-pivot"), { timeout: PATIENCE })
            .catch(() => fault(from, `the link to ${to} leads to ${page.url()}`));
    }
}

// Everything in queries/LANG.txt: what is typed, and the page that must stand in the first three.
async function searchAll(page, language) {
    const lines = readFileSync(join(here, "queries", `${language}.txt`), "utf8").split("\n");
    const queries = lines.filter((line) => line && !line.startsWith("#")).map((line) => line.split(" => "));
    if (queries.length < 60) fault(language, `only ${queries.length} queries`);
    await page.goto(url(`${language}/index.html`));
    await page.keyboard.press("/");
    const wrong = await page.evaluate(async (queries) => {
        const input = document.querySelector("#book-search input");
        const wrong = [];
        for (const [typed, wanted] of queries) {
            input.value = typed;
            input.dispatchEvent(new Event("input"));
            while (!window.bookSearch) await new Promise((resolve) => setTimeout(resolve, 20));
            await new Promise((resolve) => setTimeout(resolve));
            const links = [...document.querySelectorAll("#book-search li a:first-child")];
            const pages = links.map((link) => link.getAttribute("href").replace(/\.html.*/, ""));
            const at = pages.indexOf(wanted);
            if (at < 0 || at > 2) wrong.push(`${typed}: ${wanted} is not in ${pages.slice(0, 3).join(", ")}`);
        }
        return wrong;
    }, queries);
    for (const what of wrong) fault(`${language}: search`, what);
    return queries.length;
}

// By keyboard: Enter opens the first result, and a note in a fold says that it is one.
async function search(page, language, words, key, folded) {
    const where = `${language}: search for ${words}`;
    await page.goto(url(`${language}/index.html`));
    await page.keyboard.press(key);
    await page.keyboard.type(words);
    const first = page.locator("#book-search li a").first();
    await first.waitFor({ timeout: PATIENCE }).catch(() => {});
    if (await first.count() === 0) return fault(where, "nothing found");
    if (folded && !(await first.textContent()).includes(folded)) fault(where, `the first does not say ${folded}`);
    const target = await first.evaluate((link) => link.href);
    await page.keyboard.press("Enter");
    await page.waitForURL(target, { timeout: PATIENCE }).catch(() => fault(where, `Enter leads to ${page.url()}`));
    return undefined;
}

async function searchNothing(page) {
    await page.goto(url("ko/index.html"));
    await page.keyboard.press("s");
    await page.keyboard.type("qqqqqqq");
    await page.waitForTimeout(300);
    if (await page.locator("#book-search li a").count() > 0) fault("ko", "finds a word that is nowhere");
    await page.keyboard.press("Escape");
    if (await page.locator("#book-search").isVisible()) fault("ko", "Escape does not close the search");
}

// Without a script a fold has the answer.
async function withoutScript(browser) {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(url("en/machines/02-container.html"));
    const fold = page.locator(".quiz details").first();
    await fold.locator("summary").click();
    if (!await fold.locator(".right").isVisible()) fault("en", "without a script, the fold has no answer");
    for (const what of ["main p", "#contents a[aria-current]", ".turn .next"]) {
        if (!await page.locator(what).first().isVisible()) fault("en", `without a script there is no ${what}`);
    }
    await context.close();
}

// The first stop of the keyboard leads past the rest, and there is not much to pass.
async function skip(browser) {
    const page = await openWindow(browser, "light", 1280);
    await page.goto(url("en/build/03-pivot-root.html"));
    await page.keyboard.press("Tab");
    const where = () => page.evaluate(() => (document.activeElement.closest("main") ? "text" : document.activeElement.className));
    if (await where() !== "skip") fault("keyboard", `the first stop is ${await where()}`);
    let stops = 1;
    while (stops < 60 && await where() !== "text") {
        await page.keyboard.press("Tab");
        stops++;
    }
    if (stops > 45) fault("keyboard", `${stops} stops before the text`);
    await page.goto(url("en/build/02-mount-proc.html"));
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    if (await where() !== "text") fault("keyboard", "the first stop does not lead to the text");
    await page.context().close();
}

// What is only there when it is opened.
async function opened(browser) {
    for (const [theme, width] of both(THEMES, [390, 1280])) {
        const page = await openWindow(browser, theme, width);
        await page.goto(url("ko/docker/10-networks.html"));
        if (width === 390) {
            await page.locator("#contents-toggle").click();
            for (const what of await violations(page)) fault(`contents (${theme}, ${width})`, what);
            await page.keyboard.press("Escape");
        }
        await page.keyboard.press("/");
        await page.keyboard.type("네트워크");
        await page.locator("#book-search li a").first().waitFor();
        for (const what of await violations(page)) fault(`search (${theme}, ${width})`, what);
        await page.context().close();
    }
}

// On paper: folds are open and solutions closed, and all pages in one begin with a list of them and end with the answers.
async function paper(browser, pages) {
    const page = await openWindow(browser, "dark", 1280);
    await page.addInitScript(() => (window.print = () => {}));
    await page.emulateMedia({ media: "print" });
    const seen = async (path, seen, unseen) => {
        await page.goto(url(path));
        await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
        for (const what of seen) if (!await page.locator(what).first().isVisible()) fault(path, `${what} is not on paper`);
        for (const what of unseen) if (await page.locator(what).first().isVisible()) fault(path, `${what} is on paper`);
        const theme = await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
        if (theme !== "light") fault(path, "paper is not light");
    };
    const frame = [".bar", "#contents", ".turn", ".copy"];
    await seen("en/machines/02-container.html", [".notes > p, .notes > ul", ".answers .right"], [".quiz .why", ...frame]);
    await seen("ko/own/03-pivot-root.html", [".causes > ol", "#hints"], [".solution pre", ".hint > p", ...frame]);
    await seen("ko/print.html", [".paper-contents a", ".answers .right"], [".quiz .why", ".solution pre"]);
    const listed = await page.locator(".paper-contents li").count();
    const wanted = pages.filter((path) => path.startsWith("ko/") && !path.endsWith("print.html")).length;
    if (listed !== wanted) fault("print", `${listed} of ${wanted} pages in the list`);
    const dead = await page.evaluate(() =>
        [...document.querySelectorAll(".paper-contents a")].filter((link) => !document.getElementById(link.hash.slice(1))).length);
    if (dead) fault("print", `${dead} links of the list lead nowhere`);
    await page.context().close();
}

// The cover is in one screen, and its run moves until it is stopped.
async function cover(browser) {
    for (const [language, width, height] of [["en", 1280, 800], ["ko", 390, 844], ["en", 390, 844], ["ko", 1280, 800]]) {
        const page = await openWindow(browser, "light", width);
        const where = `the cover in ${language} at ${width}×${height}`;
        await page.setViewportSize({ width, height });
        await page.goto(url(`${language}/index.html`));
        const bottom = await page.locator(".cover-ways").evaluate((ways) => ways.getBoundingClientRect().bottom);
        if (bottom > height) fault(where, `it ends at ${bottom}`);
        const coming = page.locator(".cover-run .coming");
        const first = await coming.count();
        await page.waitForFunction((first) => document.querySelectorAll(".cover-run .coming").length < first - 2, first)
            .catch(() => fault(where, "nothing moves"));
        await page.locator(".cover-play").click();
        const stopped = await coming.count();
        await page.waitForTimeout(1200);
        if (await coming.count() !== stopped) fault(where, "it does not stop");
        await page.emulateMedia({ reducedMotion: "reduce" });
        await page.reload();
        if (await coming.count() > 0) fault(where, "it moves for who wants no movement");
        await page.context().close();
    }
}

// Which step it is, where one came from and goes, and what has been read.
async function orientation(browser) {
    const page = await openWindow(browser, "light", 1280);
    await page.goto(url("en/build/03-pivot-root.html"));
    const texts = {
        "h1": /^Step 3 · /, "title": /^Step 3 · /, ".previous": /Step 2 · /, ".next": /Step 4 · /,
        "#contents details[open] summary": /^Part 2 · Build one$/, "#contents [aria-current]": /^Step 3 · /,
    };
    for (const [what, wanted] of Object.entries(texts)) {
        const text = (await page.locator(what).first().textContent()).trim();
        if (!wanted.test(text)) fault("orientation", `${what} says ${text}`);
    }
    const read = page.locator("#contents [aria-current] .read");
    if (await read.count()) fault("progress", "a page is read before its end was seen");
    await page.locator(".turn").scrollIntoViewIfNeeded();
    await read.waitFor({ timeout: PATIENCE }).catch(() => fault("progress", "a page whose end was seen is not read"));
    await page.reload();
    if (!await read.count()) fault("progress", "it is forgotten");
    const download = page.waitForEvent("download");
    await page.locator(".progress button").first().click();
    const saved = JSON.parse(readFileSync(await (await download).path(), "utf8"));
    if (!saved.read["build/03-pivot-root"]) fault("progress", "the file does not have the page");
    await page.evaluate(() => localStorage.clear());
    await page.reload();
    const chooser = page.waitForEvent("filechooser");
    await page.locator(".progress button").nth(1).click();
    await (await chooser).setFiles({ name: "a.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(saved)) });
    await read.waitFor({ timeout: PATIENCE }).catch(() => fault("progress", "the file is not read"));
    await page.context().close();
}

// The pages of part 2 with a recorded run.
function recordedRuns(language) {
    const folder = join(book, language, "build");
    return readdirSync(folder).filter((file) => readFileSync(join(folder, file), "utf8").includes('class="player"'));
}

// A recorded run: every step of it by keyboard, forward and back, to its end by itself, and by a link to one call.
async function player(browser) {
    for (const [language, width] of [["en", 1280], ["ko", 390]]) {
        for (const file of recordedRuns(language)) {
            const page = await openWindow(browser, "light", width);
            const path = `${language}/build/${file}`;
            await page.goto(url(path));
            const id = await page.locator(".player").getAttribute("id");
            const calls = await page.locator(".player ol > li").count();
            const range = page.locator(".player input");
            const now = () => range.inputValue().then(Number);
            if (await now() !== calls) fault(path, "the player does not show what the run comes to");
            await range.focus();
            await page.keyboard.press("Home");
            if (await now() !== 0) fault(path, "the player does not go to the beginning");
            for (let n = 1; n <= calls; n++) {
                await page.keyboard.press("ArrowRight");
                const changed = await page.locator(".player .stage .changed").count();
                const told = await page.locator(".player .told").textContent();
                if (await now() !== n || !told.includes(`${n}`)) fault(path, `the player does not come to call ${n}`);
                if (changed && !await page.locator(".player .told ul li").count()) fault(path, `call ${n} is not told`);
            }
            if (!await page.locator(".player .stage .container .row, .player .stage .container .changed").count()) {
                fault(path, "the player shows no container");
            }
            await page.keyboard.press("ArrowLeft");
            if (await now() !== calls - 1) fault(path, "the player does not go back");
            if (page.url() !== url(path, `#${id}-${calls - 1}`)) fault(path, `the link is ${page.url()}`);
            await page.locator(".player .play").press("Enter");
            await page.waitForFunction((all) => document.querySelector(".player input").value === all, `${calls}`)
                .catch(() => fault(path, "the player does not play to the end"));
            await page.goto(url(`${language}/index.html`));
            await page.goto(url(path, `#${id}-2`));
            if (await now() !== 2) fault(path, "a link to a call does not lead there");
            await page.context().close();
        }
    }
}

// Two clocks: stage by stage by keyboard, whoever is slower last; by itself as fast as it was measured; by a link to one stage.
async function race(browser) {
    for (const [language, width, file] of [["en", 1280, "machines/04-costs"], ["ko", 390, "build/07-boot-vm"]]) {
        const page = await openWindow(browser, "light", width);
        const path = `${language}/${file}.html`;
        await page.goto(url(path));
        const stages = await page.locator(".race ol > li").count();
        const range = page.locator(".race input");
        const now = () => range.inputValue().then(Number);
        const clocks = async () => (await page.locator(".race .clock").allTextContents()).map((text) => parseFloat(text));
        await range.focus();
        for (let n = 1, before = 0; n <= stages; n++) {
            await page.keyboard.press("ArrowRight");
            const latest = Math.max(...await clocks());
            if (await now() !== n || latest < before) fault(path, `the clocks don't come to stage ${n}`);
            before = latest;
        }
        const [container, machine] = await clocks();
        const arrived = await page.locator(".race .clock").allTextContents();
        if (!(container < machine) || arrived.some((text) => !text.includes("✓"))) fault(path, `the clocks end at ${arrived}`);
        await page.keyboard.press("ArrowLeft");
        if (await now() !== stages - 1) fault(path, "the clocks don't go back");
        const began = performance.now();
        await page.keyboard.press("Home");
        await page.locator(".race .play").press("Enter");
        await page.waitForFunction((all) => document.querySelector(".race input").value === all, `${stages}`)
            .catch(() => fault(path, "the clocks don't run to the end"));
        if (performance.now() - began < machine) fault(path, `the clocks show ${machine} ms in less`);
        await page.goto(url(`${language}/index.html`));
        await page.goto(url(path, "#race-compare-2"));
        if (await now() !== 2) fault(path, "a link to a stage does not lead there");
        if (options.shots) await page.locator(".race").screenshot({ path: join(options.shots, `race-${language}-${width}.png`) });
        await page.context().close();
    }
}

async function firstPage(browser) {
    for (const [locale, language] of [["ko-KR", "ko"], ["en-GB", "en"], ["fr-FR", "en"]]) {
        const context = await browser.newContext({ locale });
        const page = await context.newPage();
        await page.goto(url("index.html"));
        await page.waitForURL(url(`${language}/index.html`), { timeout: PATIENCE })
            .catch(() => fault("index.html", `a reader of ${locale} comes to ${page.url()}`));
        await context.close();
    }
}

// Several windows share the pages: each takes the next one when it is done.
async function lookAtAll(browser, pages) {
    const left = [...pages];
    const window = async () => {
        const page = await openWindow(browser, "light", 1280);
        for (let path = left.shift(); path; path = left.shift()) await look(page, path);
        await page.context().close();
    };
    await Promise.all(Array.from({ length: WINDOWS }, window));
}

// print.html has the questions of all pages once more.
async function answerAll(page, pages) {
    let questions = 0;
    for (const path of pages.filter((path) => !path.endsWith("print.html"))) questions += await answer(page, path);
    return questions;
}

// What is looked at, by name; each gets the browser and all pages, and returns what it has seen.
const PARTS = {
    async pages(browser, pages) {
        const wanted = pages.filter((path) => !options.page?.length || options.page.some((part) => path.includes(part)));
        await lookAtAll(browser, wanted);
        return `${wanted.length} pages, ${WIDTHS.length} widths`;
    },
    async questions(browser, pages) {
        return `${await answerAll(await openWindow(browser, "light", 1280), pages)} questions`;
    },
    async search(browser) {
        const page = await openWindow(browser, "light", 1280);
        let queries = 0;
        for (const language of LANGUAGES) queries += await searchAll(page, language);
        await search(page, "en", "MEMORY.MAX", "/");
        await search(page, "ko", "오버레이 화이트아웃", "s");
        await search(page, "en", "machinectl", "/", "in the fold “For instructors”");
        await searchNothing(page);
        return `${queries} searches`;
    },
    async paper(browser, pages) {
        await paper(browser, pages);
        return "3 pages printed";
    },
    async cover(browser) {
        await cover(browser);
        await orientation(browser);
        return "the cover moves, progress is kept";
    },
    async player(browser) {
        await player(browser);
        await race(browser);
        const { size } = statSync(join(here, "../theme/player.js"));
        if (size > MOST_PLAYER) fault("player.js", `${size} bytes`);
        return `${recordedRuns("en").length + recordedRuns("ko").length} recordings and 2 races played`;
    },
    async entry(browser) {
        await switchLanguage(await openWindow(browser, "light", 1280));
        await withoutScript(browser);
        await firstPage(browser);
        await skip(browser);
        await opened(browser);
        return "both languages entered";
    },
};

async function main() {
    if (options.shots) mkdirSync(options.shots, { recursive: true });
    const browser = await openBrowser();
    const pages = LANGUAGES.flatMap(pagesOf);
    const parts = Object.entries(PARTS).filter(([name]) => !options.only?.length || options.only.includes(name));
    const seen = await Promise.all(parts.map(async ([name, look]) => {
        const start = performance.now();
        const what = await look(browser, pages);
        return `${name}: ${what}, ${Math.round((performance.now() - start) / 1000)} s`;
    }));
    await browser.close();
    console.log(seen.join("\n"));
    if (faults.length) {
        console.error(faults.join("\n"));
        console.error(`${faults.length} faults`);
        return 1;
    }
    return 0;
}

process.exitCode = await main();
