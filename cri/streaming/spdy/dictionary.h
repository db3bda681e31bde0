#pragma once

#include <string>

namespace wherry::streaming::spdy {

// What both ends of a SPDY/3 session prime their compression of headers with (draft-mbelshe-httpbis-spdy-00, 2.6.10.1): names and
// values of HTTP as of 2011. zlib identifies it by its Adler-32, 0xe3c6a7c2.
std::string HeaderDictionary();

}  // namespace wherry::streaming::spdy
