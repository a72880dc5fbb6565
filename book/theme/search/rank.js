// How the book is searched: whole words, ranked by MiniSearch (BM25+), with titles and headings weighing most. What a
// reader may write in another way comes from book/LANG/synonyms.toml, and a word that is nowhere may have a typo.
//
// The builder joins MiniSearch, this file and the index to one script, as pages on a local disk may not fetch.

/* exported bookSearch */
// Makes a function that takes what was typed and returns pages, the best first, each with its best sections.
function bookSearch(MiniSearch, book) {
    "use strict";

    const { entries, synonyms } = book;

    const MOST_PAGES = 20;
    const MOST_SECTIONS = 3;
    // Of one match: in the title of a page, in a heading, in the first cell of a table's row, in the text.
    const BOOST = { title: 14, heading: 4, keys: 3, text: 1 };
    // A folded note is found, but not before what everybody reads. A question is no explanation, sources are none either.
    const FOLDED = 0.15;
    const ASIDE = 0.2;
    const ASIDES = /#(?:quiz|exercise|predict|sources|check|solution)/;
    // Neither is what the course says of itself, and a list of everything is for looking up.
    const OTHERS = [[/^(?:start\/|index)/, 0.6], [/^reference\//, 0.8]];
    // Another way to write it is worth a little less than what was typed.
    const SYNONYM = 0.9;
    // Of what a page has besides its best section.
    const AGAIN = 0.3;
    // Words that were typed one after another, in other places.
    const APART = 0.3;

    // --- Words -------------------------------------------------------------------------------------------------

    const HANGUL = /[\uac00-\ud7a3]/;
    // What is written together with signs in it is one word and also its parts: pivot_root, memory.max, /proc/self.
    const CHUNK = /[\p{L}\p{N}]+(?:[_./:+-][\p{L}\p{N}]+)*/gu;
    const PART = /[\uac00-\ud7a3]+|[^\uac00-\ud7a3_./:+-]+/g;
    // Particles and endings that follow a Korean noun without a space.
    const PARTICLE = /(?:하나요|하려면|합니다|되나요|됩니다|하는|하기|하면|에서는|으로는|에서|에게|으로|까지|부터|이란|은|는|이|가|을|를|의|에|와|과|로|도|만|란)$/;

    const isHangul = (term) => HANGUL.test(term.normalize("NFC"));

    // A word as it is compared. Hangul falls apart into its letters, so that a wrong vowel is one typo and half a
    // syllable is the beginning of a whole one.
    function stem(word) {
        const plain = word.toLowerCase();
        if (HANGUL.test(plain)) {
            const noun = plain.replace(PARTICLE, "");
            return (noun.length >= 2 ? noun : plain).normalize("NFD");
        }
        return plain.length > 3 && /[^su]s$/.test(plain) && !/\d/.test(plain) ? plain.slice(0, -1) : plain;
    }

    // The words of a text with their places: [{ term, start, end, chunk }].
    function words(text) {
        const found = [];
        for (const chunk of text.normalize("NFC").matchAll(CHUNK)) {
            const parts = [...chunk[0].matchAll(PART)];
            for (const part of parts) {
                const start = chunk.index + part.index;
                // A particle after a Latin word is no word.
                if (parts.length > 1 && part.index > 0 && HANGUL.test(part[0]) && PARTICLE.test(part[0]) && part[0].length <= 2) {
                    continue;
                }
                found.push({ term: stem(part[0]), start, end: start + part[0].length, chunk: chunk.index });
            }
        }
        return found;
    }

    // Words that stand together with signs between them are also one: pivot_root. So are Korean neighbours, since
    // people differ in where they put spaces: 가상 머신, 가상머신.
    function terms(text) {
        const list = words(text);
        const all = list.map((word) => word.term);
        let whole = "";
        list.forEach((word, n) => {
            const before = list[n - 1];
            if (!before) return;
            const together = before.chunk === word.chunk;
            const korean = isHangul(before.term) && isHangul(word.term) && word.start - before.end <= 1;
            if (together || korean) all.push(before.term + word.term);
            whole = together ? (whole || before.term) + word.term : "";
            if (whole && whole !== before.term + word.term) all.push(whole);
        });
        return all;
    }

    // --- Index -------------------------------------------------------------------------------------------------

    const index = new MiniSearch({
        fields: ["title", "heading", "keys", "text"],
        tokenize: terms,
        processTerm: (term) => term,
    });
    const pageOf = (entry) => entry.url.split("#")[0];
    const documents = entries.map((entry, id) => {
        const first = !entry.url.includes("#") && !entry.fold;
        return {
            id,
            // The file's name has what the step is about: build/05-overlay.html.
            title: first ? `${entry.page} · ${entry.heading} · ${entry.url.replace(".html", "")}` : "",
            heading: first || entry.fold ? "" : entry.heading,
            keys: entry.keys ?? "",
            text: entry.text,
        };
    });
    index.addAll(documents);
    const weights = entries.map((entry) => {
        const place = entry.fold ? FOLDED : ASIDES.test(entry.url) ? ASIDE : 1;
        return OTHERS.reduce((weight, [pages, less]) => weight * (pages.test(entry.url) ? less : 1), place);
    });

    // --- Query -------------------------------------------------------------------------------------------------

    // Words that say nothing of what is looked for, unless there are no others.
    const STOP = new Set((
        "a an and are as at be can do does for from how i in is it its my not of on or s t that the there this to was what"
        + " when where which who why will with would should could have has you your we me use need want doesn don isn"
    ).split(" ").map(stem).concat(
        "무엇 뭐 뭔가요 무엇인가 무엇인가요 어떻게 왜 하는 하는법 방법 법 하기 그냥 것 수 있나 있나요 인가 인가요 되나 되나요 하나요".split(" ").map(stem),
    ));

    // Each way to write something leads to all the others: [[words of one way, …], …].
    const groups = synonyms.map((group) => group.map((way) => words(way).map((word) => word.term)));
    const key = (list) => list.join(" ");
    const ways = new Map();
    for (const group of groups) {
        for (const way of group) {
            for (const written of new Set([key(way), way.join("")])) {
                ways.set(written, [...(ways.get(written) ?? []), ...group]);
            }
        }
    }
    const LONGEST = Math.max(1, ...groups.flat().map((way) => way.length));

    // What was typed, as a list of ideas, each the words that were typed for it and the other ways to say it.
    function ideas(text) {
        const typed = words(text);
        const list = [];
        for (let at = 0; at < typed.length;) {
            const taken = (length) => typed.slice(at, at + length).map((word) => word.term);
            let length = Math.min(LONGEST, typed.length - at);
            while (length > 0 && !ways.has(key(taken(length)))) length--;
            const others = ways.get(key(taken(length))) ?? [];
            // What was typed with signs in it stays one word.
            const chunk = typed.filter((word) => word.chunk === typed[at].chunk && !isHangul(word.term)).length;
            length ||= Math.max(1, chunk);
            list.push({ own: taken(length), others, last: at + length === typed.length });
            at += length;
        }
        const telling = list.filter((idea) => idea.own.length > 1 || idea.others.length || !STOP.has(idea.own[0]));
        return telling.length ? telling : list;
    }

    // At most so many letters may be wrong in a word that is nowhere.
    function typos(term) {
        if (term.length < 4 || /^\d+$/.test(term)) return 0;
        return term.length < 6 ? 1 : 2;
    }

    // The words of an entry one after another, made when they are first asked for.
    const sequences = [];
    function has(id, way) {
        sequences[id] ??= ` ${Object.values(documents[id]).slice(1).map((text) => key(words(text).map((word) => word.term))).join(" | ")} `;
        return sequences[id].includes(` ${key(way)} `);
    }

    // How well each entry fits one way to write an idea. Several words must follow each other, or they are worth less.
    function fits(way, { prefix, typo, apart = 0 }) {
        const query = {
            combineWith: "AND",
            queries: way.map((term) => ({
                queries: [term],
                tokenize: (word) => [word],
                boost: BOOST,
                prefix: (prefix && term === way.at(-1)) || isHangul(term),
                fuzzy: typo ? typos(term) : 0,
            })),
        };
        const hits = index.search(query, { bm25: { k: 1.2, b: 0.6, d: 0.4 } });
        if (way.length === 1) return hits;
        return hits.map((hit) => ({ ...hit, score: hit.score * (has(hit.id, way) ? 1 : apart) })).filter((hit) => hit.score > 0);
    }

    // The best way for each entry, and the words of the book by which it was found.
    function gather(into, hits, worth) {
        for (const hit of hits) {
            const points = hit.score * worth * weights[hit.id];
            const old = into.get(hit.id) ?? { points: 0, terms: new Set() };
            old.points = Math.max(old.points, points);
            hit.terms.forEach((term) => old.terms.add(term));
            into.set(hit.id, old);
        }
    }

    // What is nowhere is taken for what is written nearly so.
    function mended(idea) {
        const [hit] = fits(idea.own, { typo: true, apart: 1 });
        if (!hit) return new Map();
        const own = hit.terms;
        return found({ own, others: ways.get(key(own)) ?? [], last: false, corrected: true });
    }

    function found(idea) {
        const into = new Map();
        // A short beginning would lead everywhere.
        const prefix = idea.last && idea.own.at(-1).length >= 3;
        const own = fits(idea.own, { prefix, apart: APART });
        if (idea.own.length > 1) own.push(...fits([idea.own.join("")], {}));
        gather(into, own, 1);
        const best = (hits) => Math.max(0, ...hits.map((hit) => hit.score));
        for (const way of idea.others) {
            const hits = fits(way, {});
            // A rare word has more points than a common one, but it is no more than another way to say the same.
            gather(into, hits, own.length && hits.length ? SYNONYM * Math.min(1, best(own) / best(hits)) : SYNONYM);
        }
        return into.size || idea.corrected ? into : mended(idea);
    }

    // --- Pages -------------------------------------------------------------------------------------------------

    // What a page has for each idea: its best section counts, and a little that it goes on about it.
    function worth(points) {
        const [best, ...others] = points.sort((a, b) => b - a);
        return best + AGAIN * others.slice(0, 8).reduce((sum, more) => sum + more, 0);
    }

    function search(text) {
        const wanted = ideas(text).map(found);
        const pages = new Map();
        wanted.forEach((hits, n) => {
            for (const [id, { points, terms }] of hits) {
                const name = pageOf(entries[id]);
                const page = pages.get(name) ?? { sections: new Map(), points: wanted.map(() => []), terms: new Set() };
                page.sections.set(id, (page.sections.get(id) ?? 0) + points);
                page.points[n].push(points);
                terms.forEach((term) => page.terms.add(term));
                pages.set(name, page);
            }
        });
        const rated = [...pages.values()].map((page) => {
            const sections = [...page.sections].sort((a, b) => b[1] - a[1]);
            const ofIdeas = page.points.filter((points) => points.length);
            // By the roots, so that a little of everything is more than much of one.
            const points = sections[0][1] + ofIdeas.reduce((sum, each) => sum + Math.sqrt(worth(each)), 0) ** 2;
            const best = sections.slice(0, MOST_SECTIONS).map(([id]) => entries[id]);
            return { all: ofIdeas.length, points, terms: page.terms, sections: best };
        });
        // A page that has every idea stands before one that lacks any.
        return rated.sort((a, b) => b.all - a.all || b.points - a.points).slice(0, MOST_PAGES);
    }

    return { search, words };
}
