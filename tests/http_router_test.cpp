#include <rota/error.hpp>
#include <rota/http/response.hpp>
#include <rota/http/router.hpp>

#include <gtest/gtest.h>

#include <string>

namespace rota::http {
namespace {

Response nothing(Request&) { return Response(); }

TEST(HttpRouter, RefusesPatternsThatMeanNothing) {
  Router router;
  EXPECT_THROW(router.get("no-slash", nothing), ValueError);
  EXPECT_THROW(router.get("/{open", nothing), ValueError);
  EXPECT_THROW(router.get("/close}", nothing), ValueError);
  EXPECT_THROW(router.get("/{}", nothing), ValueError);
  EXPECT_THROW(router.get("/{a/b}", nothing), ValueError);
  EXPECT_THROW(router.get("/{a}{b}", nothing), ValueError);
  EXPECT_THROW(router.get("/{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}", nothing), ValueError);
  router.get("/{a}-{b}/c", nothing);
  EXPECT_THROW(router.get("/{a}-{b}/c", nothing), ValueError);
  router.post("/{a}-{b}/c", nothing);
}

TEST(HttpResponse, RefusesHeadersThatWouldBreakTheAnswer) {
  Response response;
  EXPECT_THROW(response.add_header("A b", "x"), ValueError);
  EXPECT_THROW(response.add_header("", "x"), ValueError);
  EXPECT_THROW(response.add_header("A", "x\r\nB: y"), ValueError);
  EXPECT_THROW(response.add_header("A", std::string("x\0", 2)), ValueError);
  EXPECT_THROW(response.add_header("content-LENGTH", "1"), ValueError);
  response.add_header("A", "x");
  EXPECT_EQ(response.headers().size(), 1u);
}

TEST(HttpPercentDecode, DecodesEscapesAndRefusesHalfOnes) {
  EXPECT_EQ(percent_decode("a%20b%2Fc%41"), "a b/cA");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  EXPECT_THROW(percent_decode("%"), HttpError);
  EXPECT_THROW(percent_decode("%4"), HttpError);
  EXPECT_THROW(percent_decode("%zz"), HttpError);
}

}  // namespace
}  // namespace rota::http
