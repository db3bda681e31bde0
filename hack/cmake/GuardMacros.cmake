# cmake -DHEADER=<generated .pb.h> -P GuardMacros.cmake
#
# CRI's enum Signal has the enumerators SIGABRT, SIGTERM …, which are macros as soon as anything has included <signal.h>;
# the generated header then does not compile. This puts the macros aside for the length of the header and restores them at its
# end, so that the order of includes does not matter. Code that needs an enumerator's value uses its number or Signal_Parse().
file(READ ${HEADER} text)
string(FIND "${text}" "#pragma push_macro" done)
if(NOT done EQUAL -1)
  return()
endif()
string(REGEX MATCHALL "\n  SIG[A-Z0-9]+ = " names "${text}")
if(NOT names)
  return()
endif()
set(save "")
set(restore "")
foreach(name ${names})
  string(REGEX REPLACE "[^A-Z0-9]" "" name "${name}")
  string(APPEND save "#pragma push_macro(\"${name}\")\n#undef ${name}\n")
  string(APPEND restore "#pragma pop_macro(\"${name}\")\n")
endforeach()
# Every header that the generated one needs comes before the first mark, the last line of its own after the second.
string(REPLACE "// @@protoc_insertion_point(includes)\n" "// @@protoc_insertion_point(includes)\n${save}" text "${text}")
string(REPLACE "// @@protoc_insertion_point(global_scope)\n" "${restore}// @@protoc_insertion_point(global_scope)\n" text "${text}")
file(WRITE ${HEADER} "${text}")
