// Markdown of strangers. HTML in it stays text; links go to three schemes; images are links until
// somebody asks for them; and what comes out passes a sanitizer that knows nothing of Markdown.

import DOMPurify from "./vendor/dompurify.mjs";
import MarkdownIt from "./vendor/markdown-it.mjs";

const OPENED = /^(https?:\/\/|mailto:)/i;
const PICTURE = /^https?:\/\//i;
const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["class", "href", "start", "title"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: OPENED,
  RETURN_DOM_FRAGMENT: true,
};

const markdown = new MarkdownIt({ html: false, linkify: true, maxNesting: 40 });
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
markdown.validateLink = (url) => OPENED.test(url);
markdown.renderer.rules.image = (tokens, index) => {
  const escape = markdown.utils.escapeHtml;
  const [source, words] = [tokens[index].attrGet("src"), tokens[index].content];
  if (!PICTURE.test(source)) return escape(words);
  return `<a class="picture" href="${escape(source)}"><span>Show the image</span> <code>${escape(words || source)}</code></a>`;
};
for (const rule of ["th_open", "td_open"]) {
  markdown.renderer.rules[rule] = (tokens, index, options, _, renderer) => {
    const style = tokens[index].attrGet("style") ?? "";
    tokens[index].attrs = null;
    if (style.includes("right")) tokens[index].attrSet("class", "to-right");
    if (style.includes("center")) tokens[index].attrSet("class", "to-centre");
    return renderer.renderToken(tokens, index, options);
  };
}
DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
  // A link may call itself what it likes: its title says where it goes.
  if (node.hasAttribute("href")) node.setAttribute("title", node.getAttribute("href"));
});

/** Turn the text of an element into what it means. */
export function render(element) {
  element.removeAttribute("data-markdown");
  element.replaceChildren(DOMPurify.sanitize(markdown.render(element.textContent), ALLOWED));
}
