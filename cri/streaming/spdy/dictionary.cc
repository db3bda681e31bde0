#include "cri/streaming/spdy/dictionary.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace wherry::streaming::spdy {
namespace {

// Each with its length before it, as in a header block.
constexpr absl::string_view kWords[] = {
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
};

// Then values, without lengths.
constexpr absl::string_view kValues =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authorit"
    "ative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Fo"
    "und500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept"
    " Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gi"
    "f,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchc"
    "harset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

}  // namespace

std::string HeaderDictionary() {
  std::string out;
  for (absl::string_view word : kWords) {
    out.append({0, 0, 0, static_cast<char>(word.size())});
    absl::StrAppend(&out, word);
  }
  absl::StrAppend(&out, kValues);
  return out;
}

}  // namespace wherry::streaming::spdy
